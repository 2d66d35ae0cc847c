"""The pages for people: thin, over the same stores and functions as the command line."""
