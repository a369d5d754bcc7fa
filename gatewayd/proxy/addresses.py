"""Addresses at both ends of a client's connection: whose they are, and what backends are told of them in X-Forwarded-*.

A field of a client counts only where it comes from a proxy that is trusted (`Port.trusts`).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange

_REWRITTEN = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


@lru_cache(maxsize=256)
def networks_of(proxies: tuple[str, ...]) -> tuple[Any, ...]:
    """The CIDRs of `trustedProxies` as networks; a connection asks for the same few again and again."""
    return tuple(ip_network(cidr, strict=False) for cidr in proxies)


def client_of(exchange: Exchange) -> bytes:
    """Who asked through a proxy that is trusted: the last address of X-Forwarded-For that is not trusted itself.
    What is no address ends the search, so that nothing else gets into the access log; nor is one with a zone, which
    means nothing here, and whose text may be any (RFC 4007 section 11).
    """
    client = exchange.client
    networks = networks_of(exchange.settings.trusted_proxies)
    for part in reversed((exchange.head.value(b"x-forwarded-for") or b"").split(b",")):
        try:
            address = ip_address(plain(part.strip(b" \t").decode("latin-1")))
        except ValueError:
            break
        if b"%" in part:
            break
        client = str(address).encode()
        if not any(address in network for network in networks):
            break
    return client


def fields_of_trusted(exchange: Exchange) -> bytes:
    """What the backend is told about a client behind a proxy that is trusted: the proxy's word, and its address. Field
    lines in block form; the exchange gets its `request_id`.
    """
    head = exchange.head
    said = head.specials
    client = exchange.client
    chain = said.get(b"x-forwarded-for")
    exchange.request_id = said.get(b"x-request-id") or exchange.port.runtime.new_request_id()
    lines = [
        b"\r\nx-forwarded-for: " + (client if not chain else chain + b", " + client),
        b"\r\nx-forwarded-proto: " + (said.get(b"x-forwarded-proto") or exchange.port.scheme),
        b"\r\nx-forwarded-host: " + (said.get(b"x-forwarded-host") or head.authority),
        b"\r\nx-request-id: " + exchange.request_id,
    ]
    lines += [
        b"\r\n%b: %b" % (name, value)
        for name, value in said.items()
        if name.startswith((b"x-forwarded-", b"forwarded", b"x-real-ip")) and name not in _REWRITTEN
    ]
    return b"".join(lines)


def place_of(transport: Any) -> tuple[bytes, bytes]:
    """(host, authority) of the address that a connection came to: what an HTTP/1.0 request without a host is for. No
    route has an address for its hostname, so it takes what serves any host (RFC 9112 section 3.3).
    """
    host, port = transport.get_extra_info("sockname")[:2]
    host = plain(host).partition("%")[0]
    named = f"[{host}]" if ":" in host else host
    return named.encode(), f"{named}:{port}".encode()


def plain(address: str) -> str:
    """An IPv4 address that an IPv6 socket shows, as itself."""
    return address.removeprefix("::ffff:") if "." in address else address
