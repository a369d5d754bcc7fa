"""What `main.go` is, with grpcio: `python -m benchmarks.greeter.server PORT`."""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from benchmarks.greeter import SERVICE, string
from benchmarks.site import GREETING, LOOPBACK


def varint(number: int) -> bytes:
    """Seven bits in each byte, the lowest first (protobuf's encoding)."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


class Greeter:
    """Greets, and counts."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._served = 0

    def greet(self, _: bytes, __: grpc.ServicerContext) -> bytes:
        self._served = next(self._numbers)
        return string(GREETING)

    def count(self, _: bytes, __: grpc.ServicerContext) -> bytes:
        return b"\x08" + varint(self._served)


def serve(port: int) -> None:
    """Until it is ended."""
    greeter = Greeter()
    methods = {"Greet": greeter.greet, "Count": greeter.count}
    unary = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, unary),))
    server.add_insecure_port(f"{LOOPBACK}:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
