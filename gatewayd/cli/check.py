"""`gatewayd check PATH...`: every problem with file:line, object, field path and what to write instead."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec
import orjson

from gatewayd.api.problem import Problem
from gatewayd.cli import options, printing
from gatewayd.cli.reading import Planned, read, unmatched_controller

# A warning about these is about an object that is none of ours, and harms nothing; every other warning is about a
# field that would be ignored, which `check` takes for an error.
_HARMLESS = frozenset({"", "kind", "apiVersion"})


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    options.add_paths(parser)
    options.add_planning(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """0 when clean, 1 when something is wrong."""
    planned = read(arguments)
    faults = [problem for problem in planned.problems if severity(problem) == "error"]
    with printing():
        if arguments.output == "json":
            sys.stdout.write(
                orjson.dumps(as_json(planned), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
            )
        else:
            _print(planned, len(faults))
        if unmatched := unmatched_controller(arguments, planned.objects):
            print(f"gatewayd: {unmatched}", file=sys.stderr)
    return 1 if faults else 0


def severity(problem: Problem) -> str:
    """What `check` makes of a problem: "error", or "warning" for what is only passed over."""
    return "warning" if problem.severity == "warning" and problem.field in _HARMLESS else "error"


def as_json(planned: Planned) -> dict[str, Any]:
    """The result as plain data: the number of objects, and the problems by place."""
    problems = [{**msgspec.to_builtins(problem), "severity": severity(problem)} for problem in planned.problems]
    return {"objects": len(planned.objects), "problems": problems}


def _print(planned: Planned, faults: int) -> None:
    for problem in planned.problems:
        print(problem if severity(problem) == "error" else f"{problem} (warning)")
    files = len({item.file for item in planned.objects.all()} | {problem.file for problem in planned.problems})
    found = f"{_counted(len(planned.objects), 'object')} in {_counted(files, 'file')}"
    print(f"{found}: {_counted(faults, 'problem') if faults else 'no problems'}", file=sys.stderr)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
