"""One request over HTTP/2, to see whether a proxy answers rightly before h2load comes; one gRPC call, likewise."""

from __future__ import annotations

from collections.abc import Mapping

import h2.config
import h2.connection
import h2.events

from benchmarks import client, greeter
from benchmarks.outcome import Target


class Answer:
    """Fields of head and trailers and the body, as the events of one stream tell them."""

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}
        self.body = b""
        self.over = False

    def take(self, event: h2.events.Event) -> None:
        """ConnectionError when the other side gives up the stream or the connection."""
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self.fields.update(dict(event.headers or ()))
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data or b""
        elif isinstance(event, h2.events.StreamEnded):
            self.over = True
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise ConnectionError(f"closed with error {event.error_code}")


def ask(target: Target, names: Mapping[str, str], body: bytes = b"") -> Answer:
    """By prior knowledge in clear text, by ALPN over TLS; the answer's body must fit into the first window."""
    made = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    pseudo = {":scheme": "https" if target.tls else "http", ":authority": client.HOST}
    with client.connect(target) as connection:
        made.initiate_connection()
        made.send_headers(1, list({**pseudo, **names}.items()), end_stream=not body)
        if body:
            made.send_data(1, body, end_stream=True)
        answer = Answer()
        while not answer.over:
            connection.sendall(made.data_to_send())
            if not (data := connection.recv(65536)):
                raise ConnectionError("closed before an answer")
            for event in made.receive_data(data):
                answer.take(event)
    return answer


def get(target: Target, path: str, host: str = client.HOST) -> tuple[int, int]:
    """As `client.get`: status and length of the body."""
    answer = ask(target, {":method": "GET", ":authority": host, ":path": path})
    return int(answer.fields[b":status"]), len(answer.body)


def call(target: Target, method: str) -> greeter.Reply:
    """One unary call of gRPC."""
    answer = ask(target, {":method": "POST", ":path": method, **greeter.FIELDS}, greeter.REQUEST)
    status = answer.fields.get(b"grpc-status", b"")
    return greeter.Reply(int(status) if status.isdigit() else None, answer.body)
