"""gRPC on the event loop: HTTP/2 as far as gRPC needs it, and the services that the model server offers over it."""
