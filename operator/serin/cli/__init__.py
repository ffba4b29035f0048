"""The command line: what people ask of the operator, and what they look at."""
