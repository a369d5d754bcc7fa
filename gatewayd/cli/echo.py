"""`gatewayd echo`: an echo backend that answers with what it received, over HTTP/1, HTTP/2, TLS or TCP."""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import uvloop

from gatewayd.cli import FailedError, UsageError
from gatewayd.cli.backend.connection import Sniffer
from gatewayd.cli.backend.opened import Opened
from gatewayd.cli.backend.tcp import TcpEcho


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--name", default="echo", help="the name that the answers carry (default: %(default)s)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): speak TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument("--tls-client-ca", type=Path, metavar="FILE", help="ask clients for a certificate of it")
    parser.add_argument("--tcp", action="store_true", help="send every byte back instead of speaking HTTP")
    parser.add_argument("--greet", action="store_true", help="with --tcp: send the name and a newline first")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input closes")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; 1 when the port cannot be bound."""
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port {arguments.port} is no port: 0 to 65535")
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        raise UsageError("--tls-cert and --tls-key belong together")
    if arguments.tls_client_ca and not arguments.tls_cert:
        raise UsageError("--tls-client-ca asks for certificates in TLS: give --tls-cert and --tls-key too")
    asked: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
    context = _context(arguments, asked)
    greeting = f"{arguments.name}\n".encode() if arguments.greet else b""

    opened = Opened()

    def protocol() -> asyncio.Protocol:
        return TcpEcho(opened, greeting) if arguments.tcp else Sniffer(arguments.name, opened, asked)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_serve(arguments, protocol, context))
        opened.abort()
        return code


async def _serve(
    arguments: argparse.Namespace, protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None
) -> int:
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(protocol, arguments.host, arguments.port, ssl=context, backlog=1024)
    except OSError as error:
        raise FailedError(f"echo {arguments.name} cannot listen: {error.strerror or error}") from error
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.until_eof:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"echo {arguments.name} listening on {host}:{port}", flush=True)
    await stop.wait()
    server.close()
    return 0


def _context(arguments: argparse.Namespace, asked: WeakKeyDictionary[Any, str]) -> ssl.SSLContext | None:
    """The TLS context of the options, which notes the names that clients ask for; None without a certificate."""
    if arguments.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
        if arguments.tls_client_ca is not None:
            context.load_verify_locations(arguments.tls_client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the TLS files cannot be used: {error.strerror or error}") from error

    def note(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        if name is not None:
            asked[tls] = name

    context.sni_callback = note
    return context
