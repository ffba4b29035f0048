"""What callers do with the registry, each in one transaction and without a word of HTTP."""
