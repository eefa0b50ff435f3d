"""One module a file format; see `loaders/granule.py` for what a reader must offer."""
