"""h2load: one thread, some connections with some streams each, all in use all the time.

Told how long to run (`-D`), it says nothing of requests that were lost with their connection; told how many to send
(`-n`), it does. So a short run with `-D` tells the pace, and the run proper has as many requests as that pace makes of
the time. Its summary has no percentiles; they come from the log of all requests.

To it a gRPC call that failed is a success like any other: the status of HTTP is 200. What tells is that every call that
ends well has the message, in full, and was counted by the server; `calls` holds it to both.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import greeter, http2
from benchmarks.machine import shared_memory
from benchmarks.outcome import GIB, Outcome, Target, percentiles
from benchmarks.peers.peer import find
from benchmarks.site import LOOPBACK

PACE = 0.2  # seconds: how long the pace is taken
SILENCE = "10s"  # a connection without answers for so long is given up, its requests are errors
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
FINISHED = re.compile(r"^finished in ([0-9.]+)(us|ms|s),", re.MULTILINE)
REQUESTS = re.compile(r"^requests: (\d+) total, .* (\d+) succeeded,", re.MULTILINE)
DATA = re.compile(r"^traffic: .*\((\d+)\) data", re.MULTILINE)
PAGES = 200_000  # more than a connection asks for in a run
PAGE_STEP, PAGE_LIMIT = 0x9E3779B97F4A7C15, 1 << 64  # names of pages that have nothing in common
BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9,de;q=0.8",
    "referer": "https://localhost/shop/overview",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "same-origin",
    "cookie": "consent=1; theme=dark; session=5e0f2bd6c1a94b7f8d3e",
}
SAMPLE = 16  # calls that are made one by one after a run, and read to their trailers


@dataclass(frozen=True)
class Load:
    """So many connections, each with so many streams. With `call`, every request is the gRPC call to greet; with
    `browser`, every request of a connection asks for another page, with the fields that a browser repeats.
    """

    connections: int
    streams: int
    call: bool = False
    browser: bool = False

    def command(self, target: Target, file: Path, *amount: str) -> list[str]:
        """One request on each stream at a time. `file` is for what a call sends, or for the list of pages."""
        shape = ["-t1", f"-c{self.connections}", f"-m{self.streams}", "-N", SILENCE, *amount]
        if self.call:
            file.write_bytes(greeter.REQUEST)
            shape += ["-d", str(file), *_fields(greeter.FIELDS), *_place(target, greeter.GREET)]
        elif self.browser:
            connect, first = _place(target, "/api/")
            file.write_text(
                "".join(f"{first}{page * PAGE_STEP % PAGE_LIMIT:016x}?page={page}\n" for page in range(PAGES))
            )
            shape += [connect, "-i", str(file), *_fields(BROWSER)]
        else:
            shape += _place(target, "/api/")
        return [find("h2load") or "h2load", *shape]

    def read(self, printed: str) -> Outcome:
        """The summary; of calls, those without the whole message are errors too."""
        outcome = parse(printed)
        if not self.call:
            return outcome
        answered = min(outcome.count, received(printed) // len(greeter.ANSWER))
        return replace(outcome, count=answered, errors=outcome.errors + int(outcome.count - answered))


def run(target: Target, seconds: float, load: Load) -> Outcome:
    """Both runs together: what was answered, in which time. Percentiles are those of the run proper."""
    with tempfile.TemporaryDirectory(prefix="gatewayd-bench-", dir=shared_memory()) as folder:
        log, file = Path(folder) / "requests", Path(folder) / "sent"
        pace = load.read(output(load.command(target, file, "-D", f"{round(PACE * 1000)}ms")))
        wanted = max(load.connections * load.streams, round(pace.count / pace.seconds * seconds))
        command = load.command(target, file, "-n", str(wanted), f"--log-file={log}")
        main = load.read(output(command, seconds))
        p50, p99 = percentiles(times(log.read_text()))
    both = replace(main, count=pace.count + main.count, seconds=pace.seconds + main.seconds)
    return replace(both, errors=pace.errors + main.errors, p50=p50, p99=p99)


def calls(target: Target, seconds: float, load: Load) -> Outcome:
    """`run`; calls that the server did not count are errors, and so are those of a sample that do not end well."""
    before = served(target)
    outcome = run(target, seconds, load)
    unserved = max(0, int(outcome.count) - (served(target) - before))
    failed = sum(not http2.call(target, greeter.GREET).well for _ in range(SAMPLE))
    return replace(outcome, errors=outcome.errors + unserved + failed)


def download(target: Target, size: int) -> Outcome:
    """One body of this size, `count` in GiB."""
    return _moved(size, lambda printed: received(printed) == size, target, "/files/body")


def upload(target: Target, size: int) -> Outcome:
    """As `download`, the other way: the backend stores the body."""
    with tempfile.NamedTemporaryFile(prefix="gatewayd-bench-", dir=shared_memory()) as body:
        body.truncate(size)
        return _moved(size, lambda _: True, target, "/upload/0", "-H:method: PUT", "-d", body.name)


def _moved(size: int, whole: Callable[[str], bool], target: Target, path: str, *options: str) -> Outcome:
    command = [find("h2load") or "h2load", "-n1", "-c1", "-m1", *options, *_place(target, path)]
    printed = output(command)
    outcome = parse(printed)
    failed = outcome.errors or not whole(printed)
    return replace(outcome, count=0 if failed else size / GIB, errors=int(failed))


def _fields(fields: Mapping[str, str]) -> list[str]:
    return [f"-H{name}: {value}" for name, value in fields.items()]


def _place(target: Target, path: str) -> list[str]:
    """The name asked for is localhost, for SNI and for routes."""
    url = f"{'https' if target.tls else 'http'}://localhost:{target.port}{path}"
    return [f"--connect-to={LOOPBACK}:{target.port}", url]


def served(target: Target) -> int:
    """How many calls the server behind the proxy has answered with status 0, as it says itself."""
    reply = http2.call(Target(target.behind, http2=True), greeter.COUNT)
    if reply.status != 0:
        raise ConnectionError(f"the gRPC server does not count: status {reply.status}")
    return greeter.number(reply.body[5:])


def output(command: list[str], seconds: float = PACE) -> str:
    """What it prints; TimeoutExpired when it takes far longer than it should."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10 * seconds + 60).stdout


def parse(printed: str) -> Outcome:
    """The summary. What it took from us and did not answer with 2xx or 3xx, for whatever reason, is an error."""
    finished, requests = FINISHED.search(printed), REQUESTS.search(printed)
    if finished is None or requests is None:
        raise ValueError(f"h2load printed no result: {printed!r}")
    total, succeeded = map(int, requests.groups())
    return Outcome(succeeded, float(finished[1]) * UNITS[finished[2]], total - succeeded)


def received(printed: str) -> int:
    """Bytes of all bodies."""
    found = DATA.search(printed)
    if found is None:
        raise ValueError(f"h2load printed no traffic: {printed!r}")
    return int(found[1])


def times(log: str) -> list[float]:
    """Microseconds of each request. Lines are: when it began, status (-1: failed), microseconds, between tabs."""
    fields = (line.split("\t") for line in log.splitlines())
    return [float(taken) for _, status, taken in fields if status == "200"]
