"""TLS contexts of a port: one for each certificate, chosen by server name before the handshake begins."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from gatewayd.routing.hosts import HostTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.routing.snapshot import CertificatePlan, ListenerPlan, PortPlan

# TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has no other (RFC 9325 section 4.2).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_ALPN = ["h2", "http/1.1"]


def build_context(plan: CertificatePlan) -> ssl.SSLContext:
    """A server's context for this certificate. ssl.SSLError when chain and key do not fit. No disk is written to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
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
    """All contexts of the worker, by certificate. A context is kept while its certificate stays the same, because
    session tickets die with it.
    """

    def __init__(self) -> None:
        self._built: dict[str, tuple[CertificatePlan, ssl.SSLContext]] = {}

    def update(self, certificates: Mapping[str, CertificatePlan]) -> dict[str, Exception]:
        """Build what is new or changed. Returns what could not be built: its listener alone is affected."""
        failures: dict[str, Exception] = {}
        built = {}
        for key, plan in certificates.items():
            known = self._built.get(key)
            if known is not None and known[0] == plan:
                built[key] = known
                continue
            try:
                built[key] = (plan, build_context(plan))
            except (ssl.SSLError, OSError, ValueError) as error:
                failures[key] = error
        self._built = built
        return failures

    def for_port(self, port: PortPlan) -> HostTable[tuple[ListenerPlan, HostTable[ssl.SSLContext]]]:
        """By server name: the listener, and within it the context."""
        return HostTable({listener.hostname: (listener, self._for_listener(listener)) for listener in port.listeners})

    def _for_listener(self, listener: ListenerPlan) -> HostTable[ssl.SSLContext]:
        by_name: dict[bytes, ssl.SSLContext] = {}
        for key in listener.certificates:
            if key not in self._built:
                continue
            plan, context = self._built[key]
            for name in plan.names:
                by_name.setdefault(name, context)
            by_name.setdefault(b"", context)  # the first certificate serves names that none covers
        return HostTable(by_name)
