"""The data plane of Everloop: verify a bundle, predict, serve, route and capture."""
