"""The command line: one module for each command, imported only when that command runs.

Exit codes: 0 done, 1 problems found (or the gateway could not start), 2 wrong usage, 70 an error of the program itself.
A user sees one line on stderr, never a traceback, unless GATEWAYD_DEBUG is set.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Command -> what it does. Each is a module of this package with `configure(parser)` and `run(arguments) -> int`.
COMMANDS = {
    "run": "serve the Gateway API YAML of files and directories",
    "check": "report every problem in the files, with file:line and what to write instead",
    "status": "print every object with the status that a cluster would show",
    "explain": "say which rule takes a request, and why",
    "echo": "run an echo backend that answers with what it received",
    "demo": "run the quickstart: a gateway and two echo backends",
}
FAILED = 1
WRONG_USAGE = 2
INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130


class UsageError(Exception):
    """An argument that parses but makes no sense; printed as one line, exit 2."""


class FailedError(Exception):
    """What was asked for cannot be done here and now; printed as one line, exit 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = 0
    _open_streams()
    try:
        _check_text(arguments)
        code = _dispatch(arguments)
        sys.stdout.flush()  # what cannot be written is noticed here, not by the interpreter when it ends
        return code
    except UsageError as error:
        return _complain(str(error), WRONG_USAGE)
    except FailedError as error:
        return _complain(str(error), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _mute()
        return code
    except Exception as error:
        if os.environ.get("GATEWAYD_DEBUG"):
            raise
        text = " ".join(str(error).split()) or "no message"
        message = f"unexpected {type(error).__name__}: {text} (set GATEWAYD_DEBUG=1 for the details)"
        return _complain(message, INTERNAL_ERROR)


@contextmanager
def printing() -> Iterator[None]:
    """Print within this what an exit code goes with: a reader that goes away (head, less) does not change the code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _mute()


def _mute() -> None:
    """The reader of standard output or standard error has gone: what is still to be written goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_streams() -> None:
    """Give closed standard streams /dev/null, or the next file or socket would take their descriptors."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _check_text(arguments: list[str]) -> None:
    """Arguments are text: what is not UTF-8 could be written in no log and no JSON."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {argument!a} is not UTF-8") from None


def _dispatch(arguments: list[str]) -> int:
    """Load the one module that is needed, let it describe its options, and run it."""
    parser = argparse.ArgumentParser(prog="gatewayd", description="Runs Kubernetes Gateway API YAML without a cluster.")
    parser.add_argument("--version", action="version", version=f"gatewayd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    described = parser
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            module = importlib.import_module(f"gatewayd.cli.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
            described = command
    if not arguments:
        parser.print_help(sys.stderr)
        return WRONG_USAGE
    try:
        parsed, unknown = parser.parse_known_args(arguments)
        if unknown:  # the usage of the command, which parse_args would not show
            described.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as stop:  # argparse has printed; 0 after --help and --version, else 2
        return stop.code if isinstance(stop.code, int) else WRONG_USAGE
    result: int = parsed.run(parsed)
    return result


def _complain(message: str, code: int) -> int:
    print(f"gatewayd: {message}", file=sys.stderr)
    return code
