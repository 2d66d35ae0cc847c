"""One file a page: it reads the stores, has its view made, and draws it."""
