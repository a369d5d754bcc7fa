"""Splice: a long body of known length between two connections in clear text, moved by the kernel.

A transport reads a body in pieces, makes an object of each and copies it twice. `Splice` takes the two sockets over for
so many bytes: the source's transport rests, and the bytes go through a pipe (splice(2)). What belongs to HTTP (heads,
short bodies, chunks, whatever comes after the body) stays with the transports.

    body began -> start -> [target's buffer empty] -> fill, drain, fill, drain ... -> owner.spliced_all
                                                        owner.spliced(n) after each fill
                                                        owner.splice_rests / splice_goes_on where the target is slow
                                                        owner.splice_broke where one end is gone
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from gatewayd.proxy.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.proxy.pipe import Pipe
    from gatewayd.proxy.runtime import Runtime

LONG = 262144  # bytes still to come from which the few system calls more are worth their price


class Owner(Protocol):
    """The receiving connection whose body is moved."""

    def spliced(self, size: int) -> None:
        """So many bytes were taken from it."""

    def spliced_all(self) -> None:
        """All bytes were given to the target."""

    def splice_rests(self) -> None:
        """The target takes no more, or less than there is: time passes on its side."""

    def splice_goes_on(self) -> None:
        """The target has all that was taken."""

    def splice_broke(self, *, source: bool, clean: bool) -> None:
        """One end is gone: the source (`clean`: it ended, with bytes missing), or the target (`clean`: it had ended its
        own sending before).
        """


class Splice:
    """`left` bytes, still to be taken from the source. It owns two descriptors and a pipe until `stop`."""

    __slots__ = (
        "_high",
        "_loop",
        "_owner",
        "_pipe",
        "_rests",
        "_runtime",
        "_source",
        "_target",
        "_transport",
        "_watch",
        "left",
    )

    def __init__(self, runtime: Runtime, owner: Owner, pipe: Pipe, ends: tuple[Any, Any], left: int) -> None:
        source, self._transport = ends
        # An event loop watches the transports' own descriptors for them; others of the same sockets are ours to watch.
        self._source, self._target = _others(source, self._transport)
        self._loop = runtime.loop
        self._watch = Watch(self._loop, self._source)
        self._owner = owner
        self._runtime = runtime
        self._pipe = pipe
        self._rests = False
        self.left = left
        try:
            self._loop.add_writer(self._target, self._guard, self._begin)
        except OSError:
            os.close(self._source)
            os.close(self._target)
            raise
        source.pause_reading()
        # As long as anything waits in the transport, it is the target that time passes on: however little is too much.
        self._high = self._transport.get_write_buffer_limits()[1]
        self._transport.set_write_buffer_limits(high=0)

    def _guard(self, turn: Callable[[], None]) -> None:
        """One turn; what should not be ends this body and nothing else."""
        try:
            turn()
        except Exception as error:
            self._runtime.failed(error)
            self._owner.splice_broke(source=True, clean=False)

    def _begin(self) -> None:
        """What was written to the transport before goes first."""
        if not self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=self._high)
            self._loop.remove_writer(self._target)
            self._watch.start(partial(self._guard, self._move))

    def _move(self) -> None:
        """Take what the source has, give it to the target."""
        try:
            size = self._pipe.fill(self._source, self.left)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._owner.splice_broke(source=True, clean=False)
            return
        if not size:
            self._owner.splice_broke(source=True, clean=True)
            return
        self.left -= size
        self._owner.spliced(size)
        self._give()

    def _give(self) -> None:
        try:
            self._pipe.drain(self._target)
        except (BlockingIOError, InterruptedError):
            self._rest()
        except OSError as error:
            # A reset is told once. If it is told here, a read finds nothing but an end, as if all had been said.
            self._owner.splice_broke(source=False, clean=isinstance(error, BrokenPipeError))
        else:
            self._go_on()

    def _rest(self) -> None:
        if not self._rests:
            self._rests = True
            self._watch.stop()
            self._loop.add_writer(self._target, self._guard, self._give)
        self._owner.splice_rests()

    def _go_on(self) -> None:
        if self._rests:
            self._rests = False
            self._loop.remove_writer(self._target)
            self._watch.start(partial(self._guard, self._move))
            self._owner.splice_goes_on()
        if not self.left:
            self._owner.spliced_all()

    def stop(self) -> None:
        """Leave the sockets to their transports; what the pipe still holds is lost."""
        self._watch.stop()
        self._loop.remove_writer(self._target)
        os.close(self._source)
        os.close(self._target)
        self._runtime.pipes.give_back(self._pipe)


def splice(runtime: Runtime, owner: Owner, source: Any, target: Any, left: int) -> Splice | None:
    """Begin to move `left` bytes between two transports; None when there is no pipe or no descriptor for it."""
    if source.is_closing() or target.is_closing():
        return None
    if None in (source.get_extra_info("socket"), target.get_extra_info("socket")):
        return None
    pipe = runtime.pipes.take()
    if pipe is None:
        return None
    try:
        return Splice(runtime, owner, pipe, (source, target), left)
    except OSError:
        runtime.pipes.give_back(pipe)
        return None


def _others(source: Any, target: Any) -> tuple[int, int]:
    """Further descriptors of the sockets of two transports. OSError when there are none."""
    first = os.dup(source.get_extra_info("socket").fileno())
    try:
        return first, os.dup(target.get_extra_info("socket").fileno())
    except OSError:
        os.close(first)
        raise
