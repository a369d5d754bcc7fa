"""What the caller of the plan decides, beside the objects."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`controller_name` None serves every class. `port_map` maps a port of a Gateway to the port to bind.

    `usable` tells whether an address can be bound here (None: every one can). `default_address` is what status shows
    for Gateways that listen on the wildcard. `now` (POSIX seconds) judges certificates; None does not judge them.
    """

    controller_name: str | None = None
    address_pool: str | None = None
    port_map: dict[int, int] = {}
    generation: int = 0
    usable: Callable[[str], bool] | None = None
    default_address: str = "127.0.0.1"
    now: float | None = None
