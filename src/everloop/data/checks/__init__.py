"""What is wrong with data that could be taken in: found, named, and told in one report."""
