"""A real gRPC server (grpcio) and channels to it, for tests that call through the gateway. Messages are bare bytes, so
nothing needs to be generated; every service has the same methods.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.processes import PATIENCE

Context = Any  # grpc.ServicerContext
OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
MESSAGE = b"x" * 1000


class CallServer:
    """One server on a free port. `cancelled` is set when a call of Wait ends before the server answers it; `metadata`
    and `time_left` are those of the newest call.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting, self.cancelled = threading.Event(), threading.Event()
        self.metadata: list[tuple[str, str | bytes]] = []
        self.time_left: float | None = None
        unary = grpc.unary_unary_rpc_method_handler(self._unary)
        self._methods = dict.fromkeys(("Unary", "Add", "Check", "Only"), unary) | {
            "Upload": grpc.stream_unary_rpc_method_handler(self._upload),
            "Download": grpc.unary_stream_rpc_method_handler(self._download),
            "Talk": grpc.stream_stream_rpc_method_handler(self._talk),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "FailLate": grpc.unary_stream_rpc_method_handler(self._fail_late),
            "Wait": grpc.unary_unary_rpc_method_handler(self._wait),
            "WaitLate": grpc.unary_stream_rpc_method_handler(self._wait_late),
        }
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self], options=OPTIONS)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        """End it, with the calls that are open."""
        self._server.stop(None).wait(PATIENCE)

    def service(self, details: Any) -> Any:
        """The method of a call, or None (grpc.GenericRpcHandler)."""
        return self._methods.get(details.method.rpartition("/")[2])

    def _note(self, context: Context) -> None:
        self.metadata = [(entry.key, entry.value) for entry in context.invocation_metadata()]
        self.time_left = context.time_remaining()

    def _unary(self, request: bytes, context: Context) -> bytes:
        self._note(context)
        context.send_initial_metadata((("server", self.name), ("greeting", "hello")))
        context.set_trailing_metadata((("parting", "bye"), ("proof-bin", b"\x00\xff")))
        return request

    def _upload(self, requests: Iterator[bytes], context: Context) -> bytes:
        return b"%d" % sum(map(len, requests))

    def _download(self, request: bytes, context: Context) -> Iterator[bytes]:
        return (MESSAGE for _ in range(int(request)))

    def _talk(self, requests: Iterator[bytes], context: Context) -> Iterator[bytes]:
        yield from requests

    def _fail(self, request: bytes, context: Context) -> None:
        context.set_trailing_metadata((("why", "because"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no: 100 % wrong, Grüße")

    def _fail_late(self, request: bytes, context: Context) -> Iterator[bytes]:
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "after one")

    def _wait(self, request: bytes, context: Context) -> bytes:
        self._note(context)
        over = threading.Event()
        if not context.add_callback(over.set):  # the call is over already
            over.set()
        self.waiting.set()
        if over.wait(PATIENCE):
            self.cancelled.set()
        return b"too late"

    def _wait_late(self, request: bytes, context: Context) -> Iterator[bytes]:
        yield b"one"
        yield self._wait(request, context)


def channel(port: int, authority: str, credentials: Any = None) -> Any:
    """A channel of its own connection."""
    options = (("grpc.default_authority", authority), ("grpc.use_local_subchannel_pool", 1), *OPTIONS)
    target = f"127.0.0.1:{port}"
    if credentials is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, credentials, (*options, ("grpc.ssl_target_name_override", authority)))
