"""`gatewayd status`: every object with the status that a cluster would show, from files or from a running gateway."""

from __future__ import annotations

import argparse
import http.client
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from msgspec import to_builtins

from gatewayd.cli import FailedError, UsageError, options


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    options.add_paths(parser, count="*")
    options.add_planning(parser)
    parser.add_argument("--admin", metavar="HOST:PORT", help="ask the running gateway whose admin API listens there")
    parser.add_argument(
        "-o", "--output", choices=("table", "yaml", "json"), default="table", help="default: %(default)s"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print; 1 when a running gateway cannot be asked."""
    if bool(arguments.paths) == bool(arguments.admin):
        raise UsageError("status: give either PATH... or --admin HOST:PORT")
    shown = ask(arguments.admin) if arguments.admin else planned(arguments)
    PRINTERS[arguments.output](shown)
    return 0


def planned(arguments: argparse.Namespace) -> dict[str, Any]:
    """The List of what the files come to. Every condition begins now: there is no earlier moment to know of. A table
    needs no more of an object than its name.
    """
    from gatewayd.cli.reading import read, unmatched_controller  # noqa: PLC0415  # asking a running gateway needs none of this
    from gatewayd.server.statuses import stamped  # noqa: PLC0415
    from gatewayd.server.views import listing  # noqa: PLC0415

    found = read(arguments)
    if unmatched := unmatched_controller(arguments, found.objects):
        print(f"gatewayd: {unmatched}", file=sys.stderr)
    if arguments.output == "table":
        named = ((item, {"namespace": item.namespace, "name": item.name}) for item in found.objects.all())
        items = [{"kind": it.kind, "metadata": name, "status": found.result.statuses.get(it.key)} for it, name in named]
        return {"items": items, "problems": [to_builtins(problem) for problem in found.problems]}
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    statuses = {key: stamped(status, None, moment) for key, status in found.result.statuses.items()}
    return listing(found.objects, statuses, found.problems)


def ask(address: str) -> dict[str, Any]:
    """The List of a running gateway."""
    host, port = options.host_port(address, "--admin")
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", "/status")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise FailedError(f"{address} answered {response.status}: is that the admin API of a gatewayd?")
        shown: dict[str, Any] = orjson.loads(body)
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FailedError(f"no gateway can be asked at {address}: {reason}") from error
    finally:
        connection.close()
    return shown


def _print_json(shown: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def _print_yaml(shown: dict[str, Any]) -> None:
    import yaml  # noqa: PLC0415  # only where it is asked for

    yaml.dump(
        orjson.loads(orjson.dumps(shown)),
        sys.stdout,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
    )


def _print_table(shown: dict[str, Any]) -> None:
    from gatewayd.cli.tables import print_status  # noqa: PLC0415  # not needed by the others

    print_status(shown)


PRINTERS = {"table": _print_table, "yaml": _print_yaml, "json": _print_json}
