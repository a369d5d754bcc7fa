"""One request over HTTP/2, to see whether a proxy answers rightly before h2load comes."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events

from benchmarks import client
from benchmarks.outcome import Target


class Answer:
    """Status and length of the body, as the events of one stream tell them."""

    def __init__(self) -> None:
        self.status = self.length = 0
        self.over = False

    def take(self, event: h2.events.Event) -> None:
        """ConnectionError when the other side gives up the stream or the connection."""
        if isinstance(event, h2.events.ResponseReceived):
            self.status = int(dict(event.headers or ())[b":status"])
        elif isinstance(event, h2.events.DataReceived):
            self.length += len(event.data or b"")
        elif isinstance(event, h2.events.StreamEnded):
            self.over = True
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise ConnectionError(f"closed with error {event.error_code}")


def get(target: Target, path: str, host: str = client.HOST) -> tuple[int, int]:
    """As `client.get`: by prior knowledge in clear text, by ALPN over TLS; the body must fit into the first window."""
    made = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    scheme = "https" if target.tls else "http"
    with client.connect(target) as connection:
        made.initiate_connection()
        names = {":method": "GET", ":scheme": scheme, ":authority": host, ":path": path}
        made.send_headers(1, list(names.items()), end_stream=True)
        answer = Answer()
        while not answer.over:
            connection.sendall(made.data_to_send())
            if not (data := connection.recv(65536)):
                raise ConnectionError("closed before an answer")
            for event in made.receive_data(data):
                answer.take(event)
    return answer.status, answer.length
