"""Backup and restore: the whole registry, rows and artifacts, as one file that any database and any store can take back."""
