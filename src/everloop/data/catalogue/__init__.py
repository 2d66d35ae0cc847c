"""What lookups need of the tables, mirrored in a file of this machine that can be thrown away."""
