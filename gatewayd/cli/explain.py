"""`gatewayd explain`: which rule takes a request and why; the same compiled tables as the traffic's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from gatewayd.cli import UsageError, options, printing
from gatewayd.cli.connection import walk_connection
from gatewayd.cli.prose import tell
from gatewayd.cli.question import Question, ports, question
from gatewayd.cli.reading import Planned, read, unmatched_controller
from gatewayd.cli.walk import walk
from gatewayd.routing.hosts import HostTable


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    options.add_paths(parser)
    options.add_planning(parser)
    parser.add_argument(
        "--request",
        required=True,
        metavar="'METHOD URL'",
        help="such as 'GET https://shop.example.com/cart?x=1', or tls://HOST:PORT, tcp://HOST:PORT",
    )
    parser.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a header field")
    parser.add_argument("--gateway", metavar="NS/NAME", help="ask the listeners of this Gateway only")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Print; 0 also when the answer is an error of the gateway, 1 when no port takes such a request."""
    asked = question(arguments.request, arguments.header)
    planned = read(arguments)
    if arguments.gateway is not None:
        _require_gateway(arguments.gateway, planned)
    reached = ports(asked, planned.result.snapshot, arguments.gateway)
    explanations = [
        walk_connection(asked, plan, planned.result.snapshot, planned.objects)
        or walk(asked, plan, planned.result.snapshot, planned.objects)
        for plan in reached
    ]
    notes = list(_notes(asked, planned, arguments.gateway, explanations))
    notes += filter(None, [unmatched_controller(arguments, planned.objects)])
    with printing():
        if arguments.output == "json":
            shown = {"request": asked.text, "explanations": explanations, "notes": notes}
            sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
        else:
            _print(asked, explanations, notes)
    return 0 if explanations else 1


def _require_gateway(name: str, planned: Planned) -> None:
    known = sorted(f"{item.namespace}/{item.name}" for item in planned.objects.of("Gateway"))
    if name not in known:
        there = ", ".join(known) or "none"
        raise UsageError(f"--gateway {name!r}: there is no such Gateway; write NAMESPACE/NAME of one of: {there}")


def _print(asked: Question, explanations: list[dict[str, Any]], notes: list[str]) -> None:
    print(f"request   {asked.text}")
    for number, explanation in enumerate(explanations):
        if number:
            print()
        for line in tell(explanation):
            print(line)
    for note in notes:
        print(f"note      {note}")


def _notes(asked: Question, planned: Planned, gateway: str | None, explanations: list[dict[str, Any]]) -> Iterator[str]:
    """Why nothing may have been found: ports that exist, and routes that name the host but are not attached."""
    if not explanations:
        served = sorted(
            f"{plan.transport} {plan.number} ({', '.join(sorted({listener.gateway for listener in plan.listeners}))})"
            for plan in planned.result.snapshot.ports.values()
        )
        of = f" of Gateway {gateway}" if gateway else ""
        yield f"no listener{of} takes {asked.url.scheme} there; served are: {', '.join(served) or 'none'}"
    missed = all(explanation["rule"] is None for explanation in explanations)
    yield from _absent_routes(asked.name, planned, missed)
    if missed:
        wrong = sum(problem.severity == "error" for problem in planned.problems)
        if wrong:
            yield f"the files have {wrong} problem{'' if wrong == 1 else 's'}, which gatewayd check tells"


def _absent_routes(host: str, planned: Planned, missed: bool) -> Iterator[str]:
    """Routes whose hostnames cover the host and that lost rules, or, when the request was `missed`,
    that some parent did not accept.
    """
    for item in chain.from_iterable(map(planned.objects.of, ("HTTPRoute", "GRPCRoute", "TLSRoute"))):
        route: Any = item.resource
        names = route.spec.hostnames or ("",)
        if HostTable({name.lower().encode(): True for name in names}).find(host.encode()) is None:
            continue
        for parent in planned.result.statuses.get(item.key, {}).get("parents") or ():
            for condition in parent["conditions"]:
                place = item.source(("spec",))
                if missed and condition["type"] == "Accepted" and condition["status"] == "False":
                    yield f"{item.title} ({place}) is not attached: {condition['reason']}: {condition['message']}"
                if condition["type"] == "PartiallyInvalid" and condition["status"] == "True":
                    yield f"{item.title} ({place}) is served without some of its rules: {condition['message']}"
