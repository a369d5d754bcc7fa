"""`gatewayd run PATH...`: serve the files until SIGTERM or SIGINT; SIGHUP reads them again."""

from __future__ import annotations

import argparse
import os

from gatewayd.cli import UsageError, options
from gatewayd.server.options import RunOptions, cores


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    options.add_paths(parser)
    options.add_planning(parser)
    add_serving(parser)


def add_serving(parser: argparse.ArgumentParser) -> None:
    """The options that say how the gateway runs (also those of `demo`)."""
    parser.add_argument(
        "--workers", type=int, default=cores(), metavar="N", help="worker processes (default: the cores)"
    )
    parser.add_argument(
        "--admin",
        default="127.0.0.1:9901",
        metavar="HOST:PORT",
        help="where the admin API listens (default: %(default)s); `off` for none",
    )
    parser.add_argument(
        "--watch",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="follow changes of the files (default: yes)",
    )
    parser.add_argument(
        "--access-log", default="-", metavar="FILE", help="where access lines go; - is stdout (default)"
    )
    parser.add_argument("--user", metavar="NAME", help="run the workers as this user (needs root)")
    parser.add_argument(
        "--drain-timeout",
        type=float,
        metavar="SECONDS",
        help="on SIGTERM, how long requests in flight may take (default: what the Gateways' settings say, 30)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve; the exit code of the supervisor."""
    from gatewayd.server.run import run as supervise  # noqa: PLC0415  # wrong usage answers without loading it

    return supervise(run_options(arguments, options.paths(arguments.paths)))


def run_options(arguments: argparse.Namespace, paths: tuple[str, ...]) -> RunOptions:
    """The record that the supervisor takes, checked."""
    if not 1 <= arguments.workers <= 1024:
        raise UsageError(f"--workers {arguments.workers}: write a number from 1 to 1024")
    if arguments.drain_timeout is not None and not 0 <= arguments.drain_timeout <= 86400:
        raise UsageError(f"--drain-timeout {arguments.drain_timeout:g}: write seconds from 0 to 86400")
    if arguments.user is not None and os.geteuid() != 0:
        raise UsageError(f"--user {arguments.user}: only root can become another user")
    return RunOptions(
        paths=paths,
        workers=arguments.workers,
        address_pool=options.address_pool(arguments.address_pool),
        port_map=options.port_map(arguments.port_map),
        admin=None if arguments.admin == "off" else _checked_admin(arguments.admin),
        watch=arguments.watch,
        controller_name=arguments.controller_name,
        access_log=arguments.access_log,
        user=arguments.user,
        drain_timeout=arguments.drain_timeout,
    )


def _checked_admin(value: str) -> str:
    options.host_port(value, "--admin")
    return value
