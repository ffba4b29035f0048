"""The Open Inference Protocol, version 2, over gRPC; the `_pb2` modules are generated from the `.proto` beside them.

To generate them again, from the root of the repository:
`python -m grpc_tools.protoc -I services --python_out services --pyi_out services --grpc_python_out services
services/serin_services/server/oip/open_inference.proto`
"""
