"""Options that several commands share, turned into values; what makes no sense is a UsageError in one line."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Mapping
from pathlib import Path

from gatewayd.cli import UsageError


def add_paths(parser: argparse.ArgumentParser, *, count: str = "+") -> None:
    """PATH...: files and directories of Gateway API YAML."""
    parser.add_argument("paths", nargs=count, metavar="PATH", help="YAML file, or directory that is read recursively")


def add_planning(parser: argparse.ArgumentParser) -> None:
    """The options that change what is planned from the same files."""
    parser.add_argument(
        "--address-pool",
        metavar="CIDR",
        help="give every Gateway without spec.addresses an address of its own from this network",
    )
    parser.add_argument(
        "--port-map", metavar="A=B,...", default="", help="bind port B where a Gateway writes port A: 80=8080,443=8443"
    )
    parser.add_argument(
        "--controller-name", metavar="NAME", help="serve only GatewayClasses with this controllerName (default: all)"
    )


def paths(values: list[str]) -> tuple[str, ...]:
    """The paths, all of which exist."""
    for value in values:
        if not Path(value).exists():
            raise UsageError(f"{value}: no such file or directory")
    return tuple(values)


def address_pool(value: str | None) -> str | None:
    """A network in its normal form."""
    if value is None:
        return None
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise UsageError(f"--address-pool {value}: {error}; write a network such as 127.0.1.0/24") from None


def port_map(value: str) -> Mapping[int, int]:
    """`80=8080,443=8443` as a mapping from the written port to the bound one."""
    pairs: dict[int, int] = {}
    for item in filter(None, value.split(",")):
        written, _, bound = item.partition("=")
        pair = _port(written, item), _port(bound, item)
        if pair[0] in pairs:
            raise UsageError(f"--port-map names port {pair[0]} twice")
        pairs[pair[0]] = pair[1]
    return pairs


def _port(text: str, item: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise UsageError(f"--port-map {item}: write A=B with ports from 1 to 65535, such as 80=8080")
    return int(text)


def host_port(value: str, option: str) -> tuple[str, int]:
    """`127.0.0.1:9901` or `[::1]:9901` as (host, port)."""
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise UsageError(f"{option} {value}: write HOST:PORT, such as 127.0.0.1:9901")
    return host, int(port)
