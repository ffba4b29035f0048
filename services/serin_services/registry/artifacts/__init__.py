"""Where the registry keeps its files: an S3 API, or a folder for one person."""
