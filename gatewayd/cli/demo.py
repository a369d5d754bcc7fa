"""`gatewayd demo`: the quickstart with everything it needs: two echo backends and the gateway in front of them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from gatewayd.api.core import EndpointSlice
from gatewayd.api.objects import Objects
from gatewayd.cli import FailedError
from gatewayd.cli import run as run_command
from gatewayd.server.run import run as supervise
from gatewayd.sources.files import FileSource

TRY = """\
{folder} is served. When the gateway says that it is ready, try in another terminal:

  curl localhost:8080/                                                 # 9 of 10 answers come from echo-a
  curl -H 'Host: shop.example.com' 'localhost:8080/api/v1/items?id=7'  # reaches the backend as /items?id=7
  curl -H 'Host: shop.example.com' -H 'X-Tester: yes' localhost:8080/
  curl -i -H 'Host: shop.example.com' localhost:8080/old/page          # 301 to /new/page
  {command} status --admin {admin}
  {command} explain {folder} --request 'GET http://shop.example.com:8080/api/v1/items'

Change a weight in {folder}/routes.yaml and ask again. Ctrl-C ends the demo.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command: those of `run` that say how the gateway runs."""
    run_command.add_serving(parser)
    parser.set_defaults(address_pool=None, port_map="", controller_name=None)


def run(arguments: argparse.Namespace) -> int:
    """Start the backends, then serve until SIGTERM or SIGINT."""
    folder = quickstart()
    run_options = run_command.run_options(arguments, (str(folder),))
    objects = FileSource(run_options.paths).load().objects
    with ExitStack() as stack:
        for name, port in backends(objects).items():
            start_backend(stack, name, port)
        command = "gatewayd" if shutil.which("gatewayd") else _short(Path(sys.argv[0]).absolute())
        print(TRY.format(folder=_short(folder), command=command, admin=run_options.admin or "HOST:PORT"), flush=True)
        return supervise(run_options)


def quickstart() -> Path:
    """The folder: inside an installed package, or `config/quickstart` of a checkout."""
    installed = Path(str(resources.files("gatewayd.cli"))) / "quickstart"
    checkout = Path(__file__).parents[2] / "config" / "quickstart"
    for folder in (installed, checkout):
        if folder.is_dir():
            return folder
    raise FailedError("the quickstart's files are missing: install gatewayd again")


def backends(objects: Objects) -> dict[str, int]:
    """Name of Service -> port, for every endpoint on this machine that the EndpointSlices name."""
    found: dict[str, int] = {}
    for item in objects.of("EndpointSlice"):
        slice_ = item.resource
        if isinstance(slice_, EndpointSlice) and slice_.ports and slice_.ports[0].port:
            found[str((slice_.metadata.labels or {}).get("kubernetes.io/service-name"))] = slice_.ports[0].port
    return found


def start_backend(stack: ExitStack, name: str, port: int) -> None:
    """Run `gatewayd echo` until the stack unwinds, or until this process dies: then its standard input closes."""
    command = [sys.executable, "-P", "-m", "gatewayd", "echo", "--name", name, "--port", str(port), "--until-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    stack.enter_context(process)
    stack.callback(process.terminate)
    if process.stdout is None or not process.stdout.readline():
        raise FailedError(f"the demo needs port {port} for its backend {name}")


def _short(folder: Path) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
