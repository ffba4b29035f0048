"""The model server: one process, one model version, HTTP and gRPC in front of one predictor."""
