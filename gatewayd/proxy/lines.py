"""Access lines: one JSON object for each request or stream. Client bytes are escaped unless the grammar excludes what
JSON would need escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.observe.access import TEXT_BYTES, quoted
from gatewayd.proxy.addresses import client_of

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.http1.downstream import Downstream1
    from gatewayd.proxy.http2.downstream import Downstream2
    from gatewayd.proxy.stream import Stream

_NO_RULE = b'"route":"","rule":""'


def exchange_line(exchange: Exchange, now: float, moment: bytes) -> bytes:
    """The line of a finished exchange. Times in seconds; `upstream_time`: from request sent to head received."""
    head = exchange.head
    query = head.query
    path = head.path
    if query:
        path = quoted(path + query)
    elif len(path) > TEXT_BYTES:
        path = quoted(path)
    listener, rule, endpoint = exchange.listener, exchange.rule, exchange.endpoint
    return (
        b'{"time":"%b","client":"%b","method":"%b","host":"%b","path":"%b","status":%d,"bytes_in":%d,"bytes_out":%d,'
        b'"duration":%.6f,"upstream_time":%.6f,%b%b,"backend":"%b","reason":"%b","request_id":"%b"}\n'
    ) % (
        moment,
        client_of(exchange) if head.trusted else exchange.client,
        head.method,
        head.host,
        path,
        exchange.status,
        exchange.bytes_in,
        exchange.bytes_out,
        now - exchange.began,
        exchange.answered - exchange.sent if exchange.answered else 0.0,
        exchange.port.label if listener is None else listener.label,
        _NO_RULE if rule is None else rule.label,
        b"" if endpoint is None else endpoint.label,
        exchange.reason,
        quoted(exchange.request_id),
    )


def refused_line(down: Downstream1 | Downstream2, status: int, reason: bytes, moment: bytes) -> bytes:
    """The line of bytes that were no request: nothing of them is quoted."""
    return (
        b'{"time":"%b","client":"%b","method":"","host":"","path":"","status":%d,"bytes_in":0,"bytes_out":0,'
        b'"duration":0.0,"upstream_time":0.0,%b%b,"backend":"","reason":"%b","request_id":""}\n'
    ) % (moment, down.client, status, down.port.label, _NO_RULE, reason)


def stream_line(stream: Stream, now: float, moment: bytes) -> bytes:
    """The line of a TCP stream; `upstream_time` is what the connect took. The grammar of server names excludes what
    JSON would need escaped.
    """
    listener, rule, endpoint = stream.listener, stream.rule, stream.endpoint
    return (
        b'{"time":"%b","client":"%b",%b"bytes_in":%d,"bytes_out":%d,"duration":%.6f,'
        b'"upstream_time":%.6f,%b%b,"backend":"%b","reason":"%b"}\n'
    ) % (
        moment,
        stream.client_address,
        b'"protocol":"TCP",' if stream.name is None else b'"protocol":"TLS","host":"%b",' % stream.name,
        stream.bytes_in,
        stream.bytes_out,
        now - stream.began,
        stream.connected - stream.began if stream.connected else 0.0,
        stream.port.label if listener is None else listener.label,
        _NO_RULE if rule is None else rule.label,
        b"" if endpoint is None else endpoint.label,
        stream.reason,
    )
