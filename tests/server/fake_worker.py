"""A worker with a traffic path of twenty lines: it answers each connection with what it knows about itself."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import orjson

from gatewayd.observe.counters import WORKER_COUNTS, Report, RuleReport, encode_report
from gatewayd.routing.change import Change, apply
from gatewayd.routing.snapshot import Snapshot
from gatewayd.server.worker import main


class Silent:
    def set_clock(self) -> None: ...

    def flush(self) -> None: ...


class Answering:
    """A client that sends "hold" is kept, and answered with "done" when it sends anything more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, index: int) -> None:
        self.loop = loop
        self.index = index
        self.snapshot = Snapshot()
        self.servers: dict[str, list[socket.socket]] = {}
        self.held: set[socket.socket] = set()
        self.answered = 0
        self.errors: list[BaseException] = []
        self.notices: list[str] = []
        self.exhausted = False

    @property
    def idle(self) -> bool:
        return not self.held

    async def settle(self) -> None: ...

    def apply(self, change: Change, sockets: dict[str, list[socket.socket]]) -> None:
        snapshot = apply(self.snapshot, change)
        if any(name.startswith("refuse") for name in snapshot.routes):
            raise ValueError("this route is refused")
        self.snapshot = snapshot
        for key in change.dropped.get("ports", ()):
            for sock in self.servers.pop(key):
                self.loop.remove_reader(sock)
                sock.close()
        for key, share in sockets.items():
            self.servers[key] = share
            for sock in share:
                sock.setblocking(False)
                self.loop.add_reader(sock, self.accept, sock, key)

    def accept(self, sock: socket.socket, key: str) -> None:
        try:
            client, _ = sock.accept()
        except BlockingIOError:
            return
        self.answered += 1
        fields = {"worker": self.index, "pid": os.getpid(), "generation": self.snapshot.generation, "key": key}
        client.send(orjson.dumps({**fields, "routes": sorted(self.snapshot.routes)}) + b"\n")
        client.setblocking(False)
        self.held.add(client)
        self.loop.add_reader(client, self.more, client)

    def more(self, client: socket.socket) -> None:
        try:
            if client.recv(4096) == b"hold":
                return
        except ConnectionResetError:  # it left without reading what it was told
            pass
        self.loop.remove_reader(client)
        self.held.discard(client)
        client.close()

    def sweep(self, now: float) -> None: ...

    def drain(self) -> None:
        for share in self.servers.values():
            for sock in share:
                self.loop.remove_reader(sock)
                sock.close()
        self.servers.clear()

    def abort(self) -> None:
        for client in self.held:
            client.close()
        self.held.clear()

    def report(self) -> bytes:
        rule = RuleReport("l", "r", "0", [0, 0, self.answered, 0, 0, 0], [self.answered] + [0] * 15, 0.5, 1, 2)
        return encode_report(Report(self.index, [self.answered] * len(WORKER_COUNTS), rules=[rule]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], lambda loop, role: (Answering(loop, role.number), Silent())))
