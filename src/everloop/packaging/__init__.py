"""A bundle as a wheel or a container image, and who vouches for it."""
