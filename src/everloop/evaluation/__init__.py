"""How good a bundle is: metrics over slices, gates, cards."""
