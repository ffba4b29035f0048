"""HTTP: a connection's bytes to requests, requests to tensors, answers back; and what is not ours to BentoML."""
