"""Real services that authorize, by HTTP and by gRPC: `Bearer NAME` passes as that user, anything else does not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.status_pb2 import Status

from tests.processes import PATIENCE


def user(authorization: str | None) -> str:
    """Who that is; empty when it is nobody."""
    return (authorization or "").removeprefix("Bearer ") if (authorization or "").startswith("Bearer ") else ""


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


class HttpService:
    """By HTTP/1.1 with kept connections. `Bearer slow` waits until the end; `bodies` are those that were shown."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.bodies: list[bytes] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:  # the gateway gave up
                    self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.answer
                raise AttributeError(name)

            def answer(self) -> None:
                service.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                who = user(self.headers["Authorization"])
                if who == "slow":
                    service.over.wait(PATIENCE)
                body = b"" if who else b"who are you?"
                self.send_response(200 if who else 401)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-User" if who else "WWW-Authenticate", who or "Bearer")
                self.send_header("X-Asked", f"{self.command} {self.path}")
                self.end_headers()
                self.wfile.write(body)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)


class CallService:
    """By gRPC, with grpcio and the messages that are generated from Envoy's definitions. `newest` is what it was asked
    last.
    """

    def __init__(self) -> None:
        self.newest: Any = None
        check = grpc.unary_unary_rpc_method_handler(
            self._check, CheckRequest.FromString, CheckResponse.SerializeToString
        )
        handler = grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": check})
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[handler])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.stop(None).wait(PATIENCE)

    def _check(self, request: Any, context: Any) -> Any:
        self.newest = http = request.attributes.request.http
        who = user(http.headers.get("authorization"))
        if who == "broken":
            context.abort(grpc.StatusCode.INTERNAL, "no idea")
        if not who:
            denied = DeniedHttpResponse(
                status=HttpStatus(code=401), headers=[_option("www-authenticate", "Bearer")], body="who are you?"
            )
            return CheckResponse(status=Status(code=16), denied_response=denied)
        changes = OkHttpResponse(
            headers=[_option("x-user", who), _option("x-asked", f"{http.method} {http.path}")],
            headers_to_remove=["authorization"],
            response_headers_to_add=[_option("x-seen", who)],
        )
        return CheckResponse(status=Status(code=0), ok_response=changes)


def _option(name: str, value: str) -> Any:
    return HeaderValueOption(header=HeaderValue(key=name, value=value))
