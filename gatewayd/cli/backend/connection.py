"""The first protocol of an accepted connection: its first bytes tell HTTP/1 from HTTP/2 (RFC 9113 3.3)."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from weakref import WeakKeyDictionary

from gatewayd.cli.backend.http1 import Http1
from gatewayd.cli.backend.http2 import Http2
from gatewayd.cli.backend.opened import Opened

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Sniffer(asyncio.Protocol):
    """Holds the first bytes until they differ from the preface of HTTP/2 or complete it, then hands over."""

    def __init__(self, name: str, opened: Opened, asked: WeakKeyDictionary[Any, str]) -> None:
        self._name = name
        self._opened = opened
        self._asked = asked  # TLS object -> the name that the client asked for
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the protocol that takes over."""
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self._transport)

    def data_received(self, data: bytes) -> None:
        """Decide as soon as the bytes allow it."""
        self._seen += data
        if self._transport is None or (len(self._seen) < len(PREFACE) and PREFACE.startswith(self._seen)):
            return
        kind = Http2 if self._seen.startswith(PREFACE) else Http1
        protocol = kind(self._name, peer_facts(self._transport, self._asked))
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._seen)


def peer_facts(transport: asyncio.Transport, asked: WeakKeyDictionary[Any, str]) -> dict[str, Any]:
    """The client's address, and for TLS: version, cipher, ALPN, the name asked for, the client's subject."""
    peer = transport.get_extra_info("peername")
    facts: dict[str, Any] = {"client": f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "", "tls": None}
    tls = transport.get_extra_info("ssl_object")
    if tls is not None:
        certificate = tls.getpeercert()
        facts["tls"] = {
            "version": tls.version(),
            "cipher": tls.cipher()[0],
            "alpn": tls.selected_alpn_protocol(),
            "sni": asked.get(tls),
            "client_certificate": certificate.get("subject") if certificate else None,
        }
    return facts
