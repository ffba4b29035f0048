"""The least that a gRPC server of Python costs: every call is answered with the same bytes, and nothing is read."""

import concurrent.futures
import os
import threading

import grpc

ANSWER = bytes(64)


class Handler(grpc.GenericRpcHandler):
    def service(self, _details):
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: ANSWER)


if __name__ == "__main__":
    limits = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), [Handler()], options=limits)
    server.add_insecure_port(f"127.0.0.1:{os.environ['BENCH_GRPC_PORT']}")
    server.start()
    threading.Event().wait()
