"""One worker process as the supervisor sees it: started, spoken to, ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from gatewayd.routing.snapshot import Snapshot
from gatewayd.server.channel import Channel, pair
from gatewayd.server.messages import FromWorker, ToWorker, decode_from_worker, encode

EMPTY = Snapshot()


@dataclass(frozen=True)
class Launch:
    """How a worker is started: the command, the descriptors of its access log and its log, among how many, the address
    of the admin API ("" without one), and who it runs as.
    """

    command: tuple[str, ...]
    access_log: int
    log: int
    workers: int = 1
    admin: str = ""
    level: str = "info"
    user: int | None = None
    group: int | None = None


class WorkerProcess:
    """A worker with one end of its channel. `received` gets its messages, `ended` is called once when it is gone.

    `served` is the snapshot that it acknowledged, `pending` the one that it was sent after it, `refused` the
    generation that it could not apply.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        index: int,
        launch: Launch,
        received: Callable[[WorkerProcess, FromWorker], None],
        ended: Callable[[WorkerProcess], None],
    ) -> None:
        self.index = index
        self.served = EMPTY
        self.pending: Snapshot | None = None
        self.refused = 0
        self.missed = 0  # ticks of the watchdog since the last heartbeat
        self.alive = False  # has sent a heartbeat
        self.ready_at: float | None = None  # loop time of the first generation that it served
        self.report: bytes | None = None
        self.lag = 0.0
        self._received = received
        self._ended = ended
        ours, theirs = pair()
        try:
            self.process = _start(launch, index, theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel(loop, ours, self._frame, self._closed)

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def send(self, message: ToWorker, descriptors: list[int] | None = None) -> None:
        """Queue a message, with descriptors beside it."""
        self._channel.send(encode(message), descriptors or ())

    def kill(self) -> None:
        """SIGKILL; the end of the channel then tells the rest."""
        self.process.kill()

    def forget(self) -> None:
        """Close the channel without a word: the worker sees the end of it, and ends too."""
        self._channel.close()

    def _frame(self, frame: bytes) -> None:
        try:
            message = decode_from_worker(frame)
        except msgspec.DecodeError:
            self.kill()
            return
        self._received(self, message)

    def _closed(self) -> None:
        self.kill()  # one that closed its channel and lives is out of control
        self._ended(self)


def _start(launch: Launch, index: int, channel: int) -> subprocess.Popen[bytes]:
    """The worker finds its modules where the supervisor found them, and is in a process group of its own, so that a
    Ctrl-C in the terminal reaches the supervisor alone, which then drains the workers.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(item for item in sys.path if item)}
    return subprocess.Popen(
        [*launch.command, str(index), str(launch.workers), launch.admin, str(channel), launch.level],
        stdin=subprocess.DEVNULL,
        stdout=launch.access_log,
        stderr=launch.log,
        pass_fds=(channel,),
        env=environment,
        process_group=0,
        user=launch.user,
        group=launch.group,
        extra_groups=None if launch.user is None else [],
    )
