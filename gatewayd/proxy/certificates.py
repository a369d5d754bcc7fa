"""TLS contexts of a port: one for each certificate and use, chosen by server name before the handshake begins."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.routing.hosts import HostTable
from gatewayd.routing.snapshot import ListenerPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gatewayd.routing.snapshot import CertificatePlan, PortPlan

# TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has no other (RFC 9325 section 4.2).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_ALPN = ["h2", "http/1.1"]
_Use = tuple[str, bool]  # a certificate, and whether HTTP is spoken with it


class Door(NamedTuple):
    """A listener of TLS, and its contexts by server name: none where TLS passes through, or no certificate is left."""

    listener: ListenerPlan
    contexts: HostTable[ssl.SSLContext]


def build_context(plan: CertificatePlan, *, http: bool = True) -> ssl.SSLContext:
    """A server's context for this certificate. ssl.SSLError when chain and key do not fit. No disk is written to.
    Where it is not `http` that is spoken, no ALPN protocol is agreed on.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    if http:
        context.set_alpn_protocols(_ALPN)
    context.num_tickets = 1
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, plan.chain.rstrip() + b"\n" + plan.private_key)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
    return context


class Contexts:
    """All contexts of the worker, by certificate and use. A context is kept while its certificate stays the same,
    because session tickets die with it.
    """

    def __init__(self) -> None:
        self._built: dict[_Use, tuple[CertificatePlan, ssl.SSLContext]] = {}

    def update(self, certificates: Mapping[str, CertificatePlan], ports: Iterable[PortPlan]) -> dict[str, Exception]:
        """Build what is new or changed of what the listeners use. Returns what could not be built, by certificate: its
        listener alone is affected.
        """
        failures: dict[str, Exception] = {}
        built = {}
        for use in {use for port in ports for listener in port.listeners for use in _uses(listener)}:
            plan = certificates.get(use[0])
            known = self._built.get(use)
            if plan is None:
                continue
            if known is not None and known[0] == plan:
                built[use] = known
                continue
            try:
                built[use] = (plan, build_context(plan, http=use[1]))
            except (ssl.SSLError, OSError, ValueError) as error:
                failures[use[0]] = error
        self._built = built
        return failures

    def for_port(self, port: PortPlan) -> HostTable[Door]:
        """By server name: the listener, and within it the context."""
        return HostTable({one.hostname: Door(one, self._for_listener(one)) for one in port.listeners})

    def _for_listener(self, listener: ListenerPlan) -> HostTable[ssl.SSLContext]:
        by_name: dict[bytes, ssl.SSLContext] = {}
        for use in _uses(listener):
            if use not in self._built:
                continue
            plan, context = self._built[use]
            for name in plan.names:
                by_name.setdefault(name, context)
            by_name.setdefault(b"", context)  # the first certificate serves names that none covers
        return HostTable(by_name)


def _uses(listener: ListenerPlan) -> list[_Use]:
    return [(key, listener.protocol != "TLS") for key in listener.certificates]
