"""The request that `gatewayd explain` is asked about: from the words of the command line to a parsed head."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gatewayd.cli import UsageError
from gatewayd.routing.snapshot import PortPlan, Snapshot
from gatewayd.wire.head import HeadLimits, RequestHead, parse_request
from gatewayd.wire.refused import Refused

_DEFAULT_PORTS: dict[str, int | None] = {"http": 80, "https": 443, "tls": 443, "tcp": None}
_TRANSPORTS = {"http": ("http",), "https": ("https", "tls"), "tls": ("https", "tls"), "tcp": ("tcp",)}


@dataclass(frozen=True)
class Question:
    """A request as a client would send it. `name` is the host of the URL: the server name, where TLS is spoken."""

    method: str
    url: SplitResult
    name: str
    port: int | None
    raw: bytes  # the head on the wire

    @property
    def text(self) -> str:
        """As it was asked."""
        return self.url.geturl() if self.url.scheme in {"tls", "tcp"} else f"{self.method} {self.url.geturl()}"

    def parse(self, limits: HeadLimits) -> RequestHead:
        """The head as the gateway reads it; Refused when it would be answered 400 and the like."""
        head = parse_request(self.raw, limits)
        if head is None:
            raise Refused(400, "incomplete_head")
        return head


def question(request: str, fields: list[str]) -> Question:
    """`GET https://shop.example.com/cart?x=1` (the method may be left out) and `name: value` lines; or
    `tls://db.example.com:5432`, a connection of which no more is known, and `tcp://db.example.com:5432`, one of which
    nothing is known.
    """
    words = request.split()
    method, address = words if len(words) == 2 else ("GET", words[0] if len(words) == 1 else "")
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError as error:
        raise UsageError(f"--request {request!r}: {error}") from None
    if url.scheme not in _DEFAULT_PORTS or not url.hostname:
        raise UsageError(
            f"--request {request!r}: write a method and a URL, such as 'GET https://shop.example.com/cart', "
            "'tls://db.example.com:5432', or 'tcp://db.example.com:5432'"
        )
    lines = [_line(field) for field in fields]
    if not any(line.lower().startswith("host:") for line in lines):
        lines.insert(0, f"host: {url.netloc.rpartition('@')[2]}")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    text = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    return Question(method, url, url.hostname, port, text.encode("utf-8"))


def _line(field: str) -> str:
    name, colon, value = field.partition(":")
    if not colon or not name.strip() or "\r" in field or "\n" in field:
        raise UsageError(f"-H {field!r}: write 'name: value' in one line")
    return f"{name.strip()}: {value.strip()}"


def ports(asked: Question, snapshot: Snapshot, gateway: str | None) -> list[PortPlan]:
    """The ports that the request can reach: those of the URL's port; without one those of the scheme's well-known port,
    or else all of the scheme.
    """
    fitting = [
        plan
        for plan in snapshot.ports.values()
        if plan.transport in _TRANSPORTS[asked.url.scheme]
        and (gateway is None or any(listener.gateway == gateway for listener in plan.listeners))
    ]
    wanted = asked.port or _DEFAULT_PORTS[asked.url.scheme]
    exact = [plan for plan in fitting if wanted in {plan.number, plan.port}]
    return exact or ([] if asked.port else fitting)
