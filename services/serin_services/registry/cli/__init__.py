"""`serin registry`: what people and pipelines ask of the registry."""
