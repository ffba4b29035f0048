"""The model package: a version as a folder of a manifest and an artifact in a safe format."""
