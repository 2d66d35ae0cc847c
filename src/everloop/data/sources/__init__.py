"""Where data comes from: folders, archives and buckets, each seen as one tree of files."""
