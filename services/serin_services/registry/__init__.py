"""The registry: every version of every model, its lineage and its fate, behind one secure API."""
