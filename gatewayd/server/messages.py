"""What the supervisor and a worker say to each other over their channel, as msgpack.

Listening sockets travel beside the message (SCM_RIGHTS), in the order in which the message names them.
"""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, tag=True, frozen=True):
    """Root of the messages; the name of the class is the tag."""


class Apply(Message, frozen=True):
    """To a worker: serve what `change` (an encoded `routing.change.Change`) leads to.

    `sockets` says how many of the descriptors that came with the message belong to each port key.
    """

    generation: int
    change: msgspec.Raw
    sockets: tuple[tuple[str, int], ...] = ()


class Ask(Message, frozen=True):
    """To a worker: send a Beat with a report now, and this serial number in it."""

    serial: int


class Drain(Message, frozen=True):
    """To a worker: take no new connection, finish what is in flight, end within so many seconds."""

    seconds: float


class Active(Message, frozen=True):
    """From a worker: generation so-and-so is served as a whole; it took so many seconds to compile and swap."""

    generation: int
    seconds: float


class Failed(Message, frozen=True):
    """From a worker: the generation could not be applied, the one before it is still served."""

    generation: int
    error: str


class Beat(Message, frozen=True):
    """From a worker, each second: it lives. `report` is its encoded `observe.counters.Report`, when it was due.

    `lag` is the worst delay of its event loop since the last beat, in seconds. `serial` answers an Ask, 0 otherwise.
    """

    lag: float = 0.0
    serial: int = 0
    report: bytes | None = None


ToWorker = Apply | Ask | Drain
FromWorker = Active | Failed | Beat

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
