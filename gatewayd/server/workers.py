"""The fleet: as many workers as asked for, each on the current snapshot, replaced when it dies or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from gatewayd.observe.counters import Report, decode_report
from gatewayd.observe.log import Log
from gatewayd.observe.totals import Totals
from gatewayd.routing.change import difference, encode, is_empty
from gatewayd.routing.snapshot import Snapshot
from gatewayd.server.listening import Sockets
from gatewayd.server.messages import Active, Apply, Ask, Beat, Drain, Failed, FromWorker
from gatewayd.server.process import EMPTY, Launch, WorkerProcess

BEAT = 1.0  # seconds between two looks at the heartbeats
REAP_EVERY = 0.05  # seconds between two looks at workers that are about to end
BEAT_LIMIT = 5  # heartbeats that a worker may miss before it is killed and replaced
START_LIMIT = 60  # the same for one that still starts or compiles: a slow machine is no fault
GOOD_LIFE = 2.0  # seconds of service after which an end is not counted as a crash loop
BACKOFF_FIRST = 0.1
BACKOFF_LIMIT = 5.0


class Fleet:
    """All workers. `progress` is called whenever a worker acknowledged, refused, came or went."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        size: int,
        launch: Launch,
        sockets: Sockets,
        log: Log,
        progress: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._launch = launch
        self._sockets = sockets
        self._log = log
        self._progress = progress
        self._places: list[WorkerProcess | None] = [None] * size
        self._crashes = [0] * size
        self._dying: list[WorkerProcess] = []
        self._draining = False
        self._encoded: dict[tuple[int, int], msgspec.Raw] = {}
        self._good = EMPTY  # the newest snapshot that a worker acknowledged
        self._serial = 0
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._awaited: set[int] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self.totals = Totals()
        self.current = EMPTY
        self.slowest = 0.0  # seconds that the slowest worker took for the current generation
        self.restarts = 0
        self.refused = 0  # generations refused, counted once for each worker
        self.refusals: dict[int, str] = {}  # error by worker, of the current generation

    def __iter__(self) -> Iterator[WorkerProcess]:
        return (worker for worker in self._places if worker is not None)

    @property
    def running(self) -> int:
        """How many workers live."""
        return sum(1 for _ in self)

    @property
    def settled(self) -> bool:
        """Every worker serves the current generation."""
        return self.running == len(self._places) and all(worker.served is self.current for worker in self)

    def start(self) -> None:
        """Start all workers. OSError when there is no way to: nothing that waiting would change."""
        for index in range(len(self._places)):
            self._place(index)
        self._ticker = self._loop.call_later(BEAT, self._tick)

    def serve(self, snapshot: Snapshot) -> bool:
        """Bring every worker to `snapshot`, whose ports have sockets already; False when it says nothing new."""
        change = difference(self.current, snapshot)
        if self.current is not EMPTY and is_empty(change):
            return False
        way = (self.current.generation, snapshot.generation)
        self.current = snapshot
        self.slowest = 0.0
        self._encoded = {way: msgspec.Raw(encode(change))}
        self.refusals.clear()
        for worker in self:
            self._advance(worker)
        return True

    async def ask(self, seconds: float) -> None:
        """Have every worker report now; what does not come within `seconds` stays as of its last report."""
        self._serial += 1
        serial = self._serial
        workers = list(self)
        if not workers:
            return
        answered = self._asked[serial] = self._loop.create_future()
        self._awaited = {worker.index for worker in workers}
        for worker in workers:
            worker.send(Ask(serial))
        await asyncio.wait([answered], timeout=seconds)
        self._asked.pop(serial, None)
        answered.cancel()

    def reports(self) -> list[Report]:
        """The last report of every living worker."""
        return [decode_report(worker.report) for worker in self if worker.report]

    def drain(self, seconds: float) -> None:
        """No replacement from now on; every worker finishes what is in flight."""
        self._draining = True
        for worker in self:
            worker.send(Drain(seconds))

    def kill(self) -> None:
        """End all workers at once."""
        self._draining = True
        for worker in self:
            worker.kill()

    def close(self) -> None:
        """Let go of everything."""
        if self._ticker is not None:
            self._ticker.cancel()
        for worker in self:
            worker.forget()

    def _spawn(self, index: int) -> None:
        if self._draining:
            return
        try:
            self._place(index)
        except OSError as error:
            self._log.error("a worker cannot be started", worker=index, error=str(error))
            self._loop.call_later(BACKOFF_LIMIT, self._spawn, index)

    def _place(self, index: int) -> None:
        worker = self._places[index] = WorkerProcess(self._loop, index, self._launch, self._received, self._ended)
        self._advance(worker)

    def _advance(self, worker: WorkerProcess) -> None:
        """Send the way from what the worker serves to the current snapshot, one step at a time."""
        target = self.current
        if worker.pending is not None or worker.served is target:
            return
        if worker.refused == target.generation:
            if worker.served is not EMPTY or self._good is EMPTY or self._good.generation == target.generation:
                return
            # A new worker that cannot serve the newest serves what the others do, on the ports that are still there.
            ports = {key: port for key, port in self._good.ports.items() if key in target.ports}
            target = msgspec.structs.replace(self._good, ports=ports)
        try:
            self._send(worker, target)
        except OSError as error:  # no descriptor left to pass the sockets with; the watchdog tries again
            self._log.error("a worker cannot be given its sockets", worker=worker.index, error=str(error))
        else:
            worker.pending = target

    def _send(self, worker: WorkerProcess, target: Snapshot) -> None:
        keys = [key for key in target.ports if key not in worker.served.ports]
        shares = [(key, self._sockets.of(key, worker.index)) for key in keys]
        worker.send(
            Apply(
                target.generation,
                self._change(worker.served, target),
                tuple((key, len(share)) for key, share in shares),
            ),
            [sock.fileno() for _, share in shares for sock in share],
        )

    def _change(self, base: Snapshot, target: Snapshot) -> msgspec.Raw:
        """The encoded difference, made once for all workers that stand at the same generation."""
        way = (base.generation, target.generation)
        if way not in self._encoded:
            self._encoded[way] = msgspec.Raw(encode(difference(base, target)))
        return self._encoded[way]

    def _received(self, worker: WorkerProcess, message: FromWorker) -> None:
        worker.alive, worker.missed = True, 0
        if isinstance(message, Beat):
            self._beat(worker, message)
        elif isinstance(message, Active):
            self._active(worker, message)
        else:
            self._failed(worker, message)

    def _beat(self, worker: WorkerProcess, message: Beat) -> None:
        worker.lag = message.lag
        worker.report = message.report or worker.report
        answered = self._asked.get(message.serial)
        if answered is not None and message.serial == self._serial:
            self._awaited.discard(worker.index)
            if not self._awaited and not answered.done():
                answered.set_result(None)

    def _active(self, worker: WorkerProcess, message: Active) -> None:
        if worker.pending is None or worker.pending.generation != message.generation:
            return
        worker.served, worker.pending = worker.pending, None
        self.slowest = max(self.slowest, message.seconds)
        worker.ready_at = worker.ready_at or self._loop.time()
        if worker.served.generation > self._good.generation:
            self._good = worker.served
        self._release(worker)
        self._advance(worker)
        self._progress()

    def _failed(self, worker: WorkerProcess, message: Failed) -> None:
        self._log.error(
            "a worker could not apply a generation and goes on with the one before",
            worker=worker.index,
            generation=message.generation,
            error=message.error,
        )
        worker.pending = None
        worker.refused = message.generation
        self.refused += 1
        if message.generation == self.current.generation:
            self.refusals[worker.index] = message.error
        self._advance(worker)
        self._progress()

    def _release(self, worker: WorkerProcess) -> None:
        """Close the sockets of ports that this worker serves no more and is not about to serve."""
        keys = {*worker.served.ports, *self.current.ports, *(worker.pending.ports if worker.pending else ())}
        self._sockets.retain(worker.index, keys)

    def _ended(self, worker: WorkerProcess) -> None:
        self._places[worker.index] = None
        self._dying.append(worker)
        if worker.report:
            self.totals.add(decode_report(worker.report))
        self._awaited.discard(worker.index)
        self._reap()
        if not self._draining:
            self.restarts += 1
            delay = self._delay(worker)
            if delay:
                self._loop.call_later(delay, self._spawn, worker.index)
            else:
                self._spawn(worker.index)
        self._progress()

    def _delay(self, worker: WorkerProcess) -> float:
        """Nothing for the first end, then more and more while the successors end soon after their start."""
        served = worker.ready_at is not None and self._loop.time() - worker.ready_at > GOOD_LIFE
        crashes = self._crashes[worker.index] = 0 if served else self._crashes[worker.index] + 1
        return 0.0 if crashes <= 1 else float(min(BACKOFF_LIMIT, BACKOFF_FIRST * 2 ** (crashes - 2)))

    def _reap(self) -> None:
        waiting = []
        for worker in self._dying:
            code = worker.process.poll()
            if code is None:
                waiting.append(worker)
            elif not self._draining:
                how = f"signal {-code}" if code < 0 else f"status {code}"
                self._log.error("a worker ended and is replaced", worker=worker.index, pid=worker.pid, cause=how)
        self._dying = waiting
        if waiting:
            self._loop.call_later(REAP_EVERY, self._reap)

    def _tick(self) -> None:
        """The watchdog. It counts its own ticks and no clock, so that a halt of the supervisor harms no worker."""
        self._ticker = self._loop.call_later(BEAT, self._tick)
        for worker in self:
            self._advance(worker)
            worker.missed += 1
            limit = BEAT_LIMIT if worker.alive and worker.pending is None else START_LIMIT
            if worker.missed > limit:
                self._log.error("a worker sent no heartbeat and is killed", worker=worker.index, pid=worker.pid)
                worker.kill()
