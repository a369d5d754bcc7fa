"""Watching a socket's descriptor for something to read, until all that came was read.

After an error of a descriptor uvloop calls its reader once more and then never again. A reset is such an error, and it
may stand behind more bytes than one read takes: who waits for them would never be told of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Watch:
    """Calls `turn` whenever the descriptor has something. `_held` tells when the loop let go of the reader that it was
    given: a look at the socket after each read would cost something each time.
    """

    __slots__ = ("_descriptor", "_held", "_loop", "_turn")

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._held: ref[Any] | None = None
        self._turn: Callable[[], None] | None = None

    def start(self, turn: Callable[[], None]) -> None:
        """Call `turn` from now on, and nothing else."""
        reader = partial(turn)
        self._turn = turn
        self._held = ref(reader, self._let_go)
        self._loop.add_reader(self._descriptor, reader)

    def stop(self) -> None:
        """Call nothing any more; once is enough, more do no harm as long as the descriptor is open."""
        self._held = self._turn = None
        self._loop.remove_reader(self._descriptor)

    def _let_go(self, _held: ref[Any]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        """Unless it was stopped meanwhile, or has begun again by itself."""
        if self._turn is not None and self._held is not None and self._held() is None:
            self._loop.remove_reader(self._descriptor)
            self.start(self._turn)
