"""Names of backends outside, resolved in the background and never for a request. The last good answer is kept, also
where a name server answers with addresses that no backend can have.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from gatewayd.upstream.reserved import is_local, leads_home, leads_nowhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.upstream.backend import Backend

REFRESH = 30.0  # getaddrinfo tells no time to live
RETRY = 3.0
_NOTICES = 10


class Resolver:
    """Keeps the endpoints of backends that are known by name. `notices` takes lines for the log, one for each name
    that can no longer be resolved.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, notices: list[str]) -> None:
        self._loop = loop
        self._notices = notices
        self._lost: set[str] = set()  # backends whose name could not be resolved, and the log knows
        self._names: dict[str, tuple[str, int]] = {}
        self._due: dict[str, float] = {}
        self._running: dict[tuple[str, tuple[str, int]], asyncio.Task[None]] = {}  # a slow name delays no other

    def update(self, names: Mapping[str, tuple[str, int]], backends: Mapping[str, Backend]) -> None:
        """Resolve these (backend key -> host, port) from now on."""
        for key in [key for key, name in self._names.items() if names.get(key) != name]:
            del self._names[key], self._due[key]
            self._lost.discard(key)
        for key, name in names.items():
            if key not in self._names:
                self._names[key] = name
                self._due[key] = 0.0
        self.tick(self._loop.time(), backends)

    def tick(self, now: float, backends: Mapping[str, Backend]) -> None:
        """Start the look-ups that are due."""
        for key, due in self._due.items():
            asked = (key, self._names[key])
            if due <= now and asked not in self._running and key in backends:
                self._running[asked] = self._loop.create_task(self._resolve(*asked, backends))

    async def settle(self) -> None:
        """Wait for the look-ups that are under way (a worker is not ready before)."""
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=2.0)

    async def _resolve(self, key: str, name: tuple[str, int], backends: Mapping[str, Backend]) -> None:
        found: list[Any] = []
        reason = "it has no address"
        try:
            found = await self._loop.getaddrinfo(*name, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # unknown, or no name at all
            reason = getattr(error, "strerror", None) or str(error)
        finally:
            self._running.pop((key, name), None)
        if self._names.get(key) != name:
            return  # another name took its place meanwhile, and is due at once
        hosts = [str(address[0]) for *_, address in found]
        usable = _usable(hosts, name[0])
        if hosts and not usable:
            reason = _refusal(hosts[0])
        backend = backends.get(key)  # maybe not the one of the beginning: it can have gone and come back
        if usable and backend is not None:
            backend.update([(host, name[1]) for host in usable])
        self._due[key] = self._loop.time() + (REFRESH if usable else RETRY)
        if usable:
            self._lost.discard(key)
        elif key not in self._lost and len(self._notices) < _NOTICES:
            self._lost.add(key)
            self._notices.append(f"backend {key}: the name {name[0]} cannot be resolved: {reason}")

    def close(self) -> None:
        """Stop."""
        for task in self._running.values():
            task.cancel()


def _usable(hosts: list[str], name: str) -> list[str]:
    """The addresses of a name that a backend may have: only what the machine itself calls local may be here."""
    usable = [host for host in hosts if not leads_nowhere(host)]
    if any(map(leads_home, usable)) and not is_local(name):
        return [host for host in usable if not leads_home(host)]
    return usable


def _refusal(host: str) -> str:
    """Why no address of a name is used, by the first of them."""
    if leads_home(host):
        return f"it leads to this machine, {host}, as only localhost and names of /etc/hosts may"
    return f"no backend is where it leads to, {host}"
