"""Images of model versions: built, described in a bill of materials, signed, and checked again where they arrive.

Apart from the package, because a server's image holds the package's code and nothing of this.
"""
