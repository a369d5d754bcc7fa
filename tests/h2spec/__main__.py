"""`make h2spec`: run every case, the strict ones too, over clear text and over TLS, and write `report.json`.

Exit code 0 when the cases that fail are those that are known, 1 when not, 2 when h2spec cannot be built.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from tests.certificates import self_signed
from tests.manifests import Folder, gateway, gateway_class, http_route, https, listener, rule, secret, service
from tests.processes import Echo, Gateway

HERE = Path(__file__).parent
PROGRAM = HERE / ".build" / "h2spec"
REPORT = HERE / "report.json"
MODULE = "github.com/summerwind/h2spec"
# A port in clear text speaks HTTP/1.1 too, so what is neither gets an answer of HTTP/1.1: 400, and the close. The case
# takes the answer for a frame. Over TLS, where ALPN has settled the version, it passes.
KNOWN: dict[str, set[str]] = {"clear text": {"http2/3.5: Sends invalid connection preface"}, "tls": set()}


def build() -> None:
    """Build h2spec unless it is there. FileNotFoundError without Go, CalledProcessError when Go fails."""
    if PROGRAM.exists():
        return
    if shutil.which("go") is None:
        raise FileNotFoundError("h2spec is a Go program: install Go from https://go.dev/dl/ and run this again")
    PROGRAM.parent.mkdir(exist_ok=True)
    subprocess.run(["go", "build", "-mod=mod", "-o", str(PROGRAM), f"{MODULE}/cmd/h2spec"], cwd=HERE, check=True)


def run(port: int, *options: str) -> tuple[int, list[str]]:
    """(number of cases, those that failed) of one run."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [str(PROGRAM), "--strict", "--port", str(port), "--junit-report", str(report), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if not report.exists():
            raise SystemExit(f"h2spec ended without a report:\n{done.stdout}")
        cases = [*ET.parse(report).iter("testcase")]
    failed = [
        f"{case.get('package')}: {case.get('classname')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return len(cases), failed


def start(stack: ExitStack) -> Gateway:
    """A gateway with both kinds of listeners, and an echo backend behind it."""
    folder = stack.enter_context(TemporaryDirectory())
    certificate, key = Path(folder, "c.pem"), Path(folder, "k.pem")
    self_signed("h2spec.test", certificate, key)
    echo = Echo("echo")
    stack.callback(echo.stop)
    objects = Folder(Path(folder, "objects"))
    objects.write(
        "web.yaml",
        gateway_class(),
        gateway(listener("http", 80), https("https", 443, "web")),
        secret("web", certificate.read_bytes(), key.read_bytes()),
        http_route("all", rule({"echo": 1})),
        *service("echo", echo.port),
    )
    found = Gateway(objects.path, ports=[80, 443])
    stack.callback(found.stop)
    return found


def main() -> int:
    """Build, run, report."""
    try:
        build()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    with ExitStack() as stack:
        site = start(stack)
        runs = {"clear text": run(site.ports[80]), "tls": run(site.ports[443], "--tls", "--insecure")}
    report = {
        name: {"cases": count, "passed": count - len(failed), "failed": failed}
        for name, (count, failed) in runs.items()
    }
    REPORT.write_text(json.dumps({"h2spec": "2.2.1, strict", "runs": report}, indent=2) + "\n")
    for name, (count, failed) in runs.items():
        print(f"{name}: {count - len(failed)} of {count} passed", *failed, sep="\n  ")
    return int(any(set(failed) - KNOWN[name] for name, (_, failed) in runs.items()))


if __name__ == "__main__":
    sys.exit(main())
