"""F08: ten reloads a second under load, with a thousand routes; every seventh change breaks a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import cycle

from tests.faults.stage import proc
from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, told
from tests.faults.stage.holders import Streams, WebSockets
from tests.faults.stage.load import Load
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.manifests import (
    Folder,
    Manifest,
    gateway,
    gateway_class,
    http_route,
    listener,
    response_header,
    rule,
    service,
    tcp_route,
)  # fmt: skip

TITLE = "a storm of reloads, every seventh of them broken"
APPLIED = 0.5  # seconds within which a change must be in force
STALL = 0.02
PER_FILE = 50


class Site:
    """The files of the storm. `written` holds the moment at which each number of the marker was written."""

    def __init__(self, folder: Folder, backends: tuple[int, int], raw: int, routes: int) -> None:
        self.folder = folder
        self.written: list[float] = []
        self.stable = [f"/stable/{number}" for number in range(routes)]
        for first in range(0, routes, PER_FILE):
            self.folder.write(f"stable-{first}.yaml", *map(self._stable, range(first, min(first + PER_FILE, routes))))
        one, other = backends
        self.folder.write("services.yaml", *service("one", one), *service("other", other), *service("raw", raw))
        self.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"))
        self.listeners("a")
        self.kept()
        self.weights(1)
        self.mark()

    def _stable(self, number: int) -> Manifest:
        marked = rule("one", f"/stable/{number}", [response_header("x-route", str(number))])
        return http_route(f"stable-{number}", marked)

    def listeners(self, letter: str) -> None:
        """The listener whose hostname changes."""
        flip = listener("flip", 80, hostname=f"{letter}.example.com")
        written = gateway(listener("http", 80), flip, listener("tcp", 90, "TCP"))
        route = http_route("flip", rule("one", "/flip", [response_header("x-flip", letter)]), section="flip")
        self.folder.write("gateway.yaml", gateway_class(), written, route)

    def mark(self) -> None:
        """The next number of the marker."""
        number = response_header("x-n", str(len(self.written)))
        self.folder.write("marker.yaml", http_route("marker", rule("one", "/marker", [number])))
        self.written.append(time.monotonic())

    def kept(self) -> None:
        """The route whose file is broken now and then, whole."""
        self.folder.write("kept.yaml", http_route("kept", rule("one", "/kept", [response_header("x-kept", "yes")])))

    def weights(self, share: int) -> None:
        """A route to two backends."""
        self.folder.write("weights.yaml", http_route("weights", rule({"one": share, "other": 10 - share}, "/weights")))

    def come(self, *, here: bool) -> None:
        """A route that comes and goes."""
        if here:
            self.folder.write("come.yaml", http_route("come", rule("one", "/come")))
        elif (self.folder.path / "come.yaml").exists():
            self.folder.remove("come.yaml")

    def breakages(self) -> Iterator[Callable[[], None]]:
        """Ways to break kept.yaml, one after the other, for ever."""
        text = (self.folder.path / "kept.yaml").read_text()
        large = "# " + "x" * 126 + "\n"
        names = zip("abcdefgh", "bcdefghi", strict=True)
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        bomb += "".join(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in names)
        return cycle([
            lambda: self._put(text[: len(text) * 2 // 3].encode()),
            lambda: self._put(bomb.encode()),
            lambda: self._put(b"apiVersion: v9\nkind: Strange\nmetadata: {name: a}\n---\n" + text.encode()),
            lambda: self._put(large.encode() * 400_000 + text[:-30].encode()),
            lambda: self._put(text.replace("kept", "ke\0pt", 1).encode()),
            lambda: self._put(text.replace("yes", "j\xe4", 1).encode("latin-1")),
            lambda: (self.folder.path / "kept.yaml").chmod(0),
            self._dangle,
        ])  # fmt: skip

    def _put(self, data: bytes) -> None:
        fresh = self.folder.path / ".kept.new"
        fresh.write_bytes(data)
        fresh.replace(self.folder.path / "kept.yaml")

    def _dangle(self) -> None:
        fresh = self.folder.path / ".kept.link"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to("nowhere.yaml")
        fresh.replace(self.folder.path / "kept.yaml")


class Asker:
    """What the clients ask, and what they may be told. `seen` holds (moment of asking, number) of the marker."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = 0
        self.seen: list[tuple[float, int]] = []
        self.wrong: list[str] = []

    async def ask(self, client: Client) -> None:
        """One request of the mix."""
        self._turn += 1
        turn = self._turn
        asks = (self._marker, self._stable, self._changing, self._kept)
        await asks[turn % 4](client, turn // 4)

    async def _marker(self, client: Client, _turn: int) -> None:
        began = time.monotonic()
        head = await client.check("/marker")
        self.seen.append((began, int(head.fields["x-n"])))

    async def _stable(self, client: Client, turn: int) -> None:
        path = self._site.stable[turn * 7919 % len(self._site.stable)]
        head = await client.check(path)
        self._expect(head.fields.get("x-route") == path.rpartition("/")[2], f"another route than {path}")

    async def _kept(self, client: Client, _turn: int) -> None:
        head = await client.check("/kept")
        self._expect(head.fields.get("x-kept") == "yes", "kept without its header")

    async def _changing(self, client: Client, turn: int) -> None:
        if turn % 3 == 0:
            await client.check("/weights")
            return
        host, path = ("localhost", "/come") if turn % 3 == 1 else ("a.example.com", "/flip")
        head, _, _ = await client.ask(path, host=host)
        if head.status not in {200, 404}:
            raise LostError(str(head.status), client.port)
        self._expect(head.fields.get("x-flip", "a") == "a", f"{host}{path} went to the route of another hostname")

    def _expect(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)

    @property
    def toured(self) -> bool:
        """Whether every stable route was asked for once: each has counters from then on."""
        return self._turn >= 4 * len(self._site.stable)

    def latencies(self) -> list[float]:
        """For each change of the marker, how long after it a request was still answered from before."""
        written = self._site.written
        late = [0.0] * len(written)
        for began, number in self.seen:
            for later in range(number + 1, len(written)):
                if written[later] >= began:
                    break
                late[later] = max(late[later], began - written[later])
        return late[1:]

    def early(self) -> int:
        """Answers with a number that was not written yet."""
        return sum(number >= len(self._site.written) for _, number in self.seen)


async def run(stage: Stage) -> list[Figure]:
    one, other = await stage.backend(), await stage.backend()
    raw, sockets = await stage.echo("raw", "--tcp"), await stage.echo("sockets")
    routes = stage.count(1000, 100)
    site = Site(stage.folder, (one.port, other.port), raw.port, routes)
    stage.folder.write("ws.yaml", http_route("ws", rule("sockets", "/ws")), *service("sockets", sockets.port))
    served = await stage.gateway(ports=(80, 90))
    asker = Asker(site)
    lags: list[float] = []
    async with (
        Load(served.port, asker.ask, clients=20, rate=300) as load,
        Streams(served.ports[90], 10) as streams,
        WebSockets(served.port, 10) as websockets,
    ):
        watch = asyncio.create_task(_watch_lag(served, lags))
        # The first half gives the allocators what they keep for good, and every route its counters: that is no leak.
        await _storm(site, stage.pace(15.0, 2.0))
        while not asker.toured:
            await _storm(site, 1.0)
        before = [proc.rss(pid) for pid in (served.pid, *served.workers)]
        await _storm(site, stage.pace(15.0, 2.0))
        watch.cancel()
        await asyncio.sleep(2 * APPLIED)
        broken = len(streams.ends) + len(websockets.ends)
        wrong = streams.wrong + websockets.wrong
    await asyncio.sleep(stage.pace(6.0, 1.0))  # the workers tidy up in an idle moment
    after = [proc.rss(pid) for pid in (served.pid, *served.workers)]
    late = asker.latencies()
    return [
        told("routes", routes),
        told("reloads", len(site.written)),
        told("requests", load.asked),
        exactly(f"lost ({load.kinds() or 'none'})", load.lost(), 0),
        exactly("answers from a wrong route", len(asker.wrong) + asker.early(), 0),
        exactly("TCP streams and WebSockets cut", broken, 0),
        exactly("their messages wrong", wrong, 0),
        told("applied, median", 1000 * quantile(late, 0.5), "ms"),
        at_most("applied, p99", 1000 * quantile(late, 0.99), 1000 * APPLIED, "ms"),
        told("applied, slowest", 1000 * max(late), "ms"),
        told("stall of a worker's loop, median of seconds", 1000 * quantile(lags, 0.5), "ms"),
        at_most("stall of a worker's loop, p90 of seconds", 1000 * quantile(lags, 0.9), 1000 * STALL, "ms"),
        told("request p99", 1000 * quantile(load.seconds(), 0.99), "ms"),
        told("supervisor before", before[0] / 1e6, "MB"),
        at_most("supervisor after", after[0] / 1e6, 1.05 * before[0] / 1e6, "MB"),
        at_most("workers after, beside before", sum(after[1:]) / sum(before[1:]), 1.05),
        at_least("broken files noticed", served.log.count("kept.yaml"), 1),
        exactly("workers replaced", await served.metric("gatewayd_worker_restarts_total"), 0),
    ]


async def _storm(site: Site, seconds: float, rate: float = 10.0) -> None:
    breakages = site.breakages()
    began = time.monotonic()
    for step in range(1, int(seconds * rate) + 1):
        _change(site, step, breakages)
        site.mark()
        await asyncio.sleep(max(0.0, began + step / rate - time.monotonic()))
    site.kept()
    site.listeners("a")


def _change(site: Site, step: int, breakages: Iterator[Callable[[], None]]) -> None:
    """One of the changes beside the marker's; every seventh breaks a file, which is mended three steps later."""
    if step % 7 == 0:
        next(breakages)()
    elif step % 7 == 3:
        site.kept()
    elif step % 3 == 0:
        site.come(here=step % 2 == 0)
    elif step % 3 == 1:
        site.weights(step % 10)
    else:
        site.listeners("ab"[step % 2])


async def _watch_lag(served: Served, lags: list[float]) -> None:
    """The worst delay of each worker's loop, second by second."""
    while True:
        await asyncio.sleep(1.0)
        metrics = await served.metrics()
        lags += [value for name, value in metrics.items() if name.startswith("gatewayd_worker_loop_lag_seconds{")]
