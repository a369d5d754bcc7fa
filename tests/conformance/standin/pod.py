"""One pod: a process of this machine with an address of its own, its volumes as files, its output as its log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Plain = dict[str, Any]
RESTART = 1.0  # seconds before a program that ended is started again
POLL = 0.05  # seconds between two looks at whether it listens
LISTEN, ANY_UDP = "0A", "07"  # states in /proc/net


class Missing(Exception):
    """A Secret or ConfigMap that a volume names does not exist (yet)."""


class Pod:
    """Runs the program of `spec` on `address` until `stop`. `read(kind, name)` gives Secrets and ConfigMaps of its
    namespace (Missing when there is none), `changed` is called when its state is another.
    """

    def __init__(
        self,
        metadata: Plain,
        spec: Plain,
        address: str,
        *,
        directory: Path,
        programs: Mapping[str, tuple[str, ...]],
        read: Callable[[str, str], Plain],
        changed: Callable[[Pod], None],
    ) -> None:
        self.metadata = metadata
        self.spec = spec
        self.address = address
        self.ready = False
        self.waits = ""
        self.restarts = 0
        self._directory = directory / metadata["uid"]
        self._programs = programs
        self._read = read
        self._changed = changed
        self._lines: list[tuple[datetime, str]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run from now on."""
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """End the program, as its own process id."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._end()

    def logs(self, since: datetime | None) -> str:
        """The lines since a moment."""
        return "".join(f"{line}\n" for moment, line in self._lines if since is None or moment >= since)

    def status(self) -> Plain:
        """PodStatus."""
        state = {"running": {"startedAt": self.metadata["creationTimestamp"]}}
        waiting = {"waiting": {"reason": "ContainerCreating", "message": self.waits}}
        container = self.spec["containers"][0]
        return {
            "phase": "Running" if self.ready else "Pending",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": self.address,
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True" if self.ready else "False"},
            ],
            "containerStatuses": [
                {"name": container["name"], "image": container["image"], "imageID": "", "ready": self.ready}
                | {"restartCount": self.restarts, "state": state if self.ready else waiting}
            ],
        }

    async def _live(self) -> None:
        while True:
            try:
                mounts = self._mount()
            except Missing as missing:
                self._be(ready=False, waits=str(missing))
                await asyncio.sleep(POLL)
                continue
            await self._run(mounts)
            self._be(ready=False, waits="the program ended")
            self.restarts += 1
            await asyncio.sleep(RESTART)

    async def _run(self, mounts: dict[str, Path]) -> None:
        container = self.spec["containers"][0]
        program = next((argv for part, argv in self._programs.items() if part in container["image"]), None)
        if program is None:
            self._be(ready=False, waits=f"no program stands for the image {container['image']}")
            await asyncio.Event().wait()
            return
        self._process = await asyncio.create_subprocess_exec(
            *program,
            env=self._environment(container, mounts),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=2**20,
        )
        watching = asyncio.create_task(self._become_ready())
        try:
            assert self._process.stdout is not None
            async for line in self._process.stdout:
                self._lines.append((datetime.now(UTC), line.decode("utf-8", "replace").rstrip("\n")))
            await self._process.wait()
        finally:
            watching.cancel()

    async def _become_ready(self) -> None:
        """A pod without a readiness probe is ready when its program runs; ours waits until it also listens."""
        while not listens(self.address):
            await asyncio.sleep(POLL)
        self._be(ready=True, waits="")

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    def _be(self, *, ready: bool, waits: str) -> None:
        if (ready, waits) != (self.ready, self.waits):
            self.ready, self.waits = ready, waits
            self._changed(self)

    def _environment(self, container: Plain, mounts: dict[str, Path]) -> dict[str, str]:
        """The container's variables; PATHs under a mount name the files on this machine. POD_IP is what to bind."""
        fields = {f"metadata.{key}": value for key, value in self.metadata.items() if isinstance(value, str)}
        fields |= {"status.podIP": self.address}
        result = {"PATH": os.environ.get("PATH", ""), "POD_IP": self.address}
        for one in container.get("env") or ():
            source = (one.get("valueFrom") or {}).get("fieldRef") or {}
            value = fields.get(source.get("fieldPath", ""), one.get("value", ""))
            for mount, place in mounts.items():
                if value.startswith(mount + "/"):
                    value = str(place) + value.removeprefix(mount)
            result[one["name"]] = value
        return result

    def _mount(self) -> dict[str, Path]:
        """Write the volumes; the directory for each mount path."""
        volumes = {one["name"]: one for one in self.spec.get("volumes") or ()}
        mounts = {}
        for mount in self.spec["containers"][0].get("volumeMounts") or ():
            place = self._directory / mount["name"]
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path, data in self._contents(volumes[mount["name"]]).items():
                (place / path).write_bytes(data)
            mounts[mount["mountPath"]] = place
        return mounts

    def _contents(self, volume: Plain) -> dict[str, bytes]:
        if "secret" in volume:
            found = self._read("Secret", volume["secret"]["secretName"])
            data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
            items = volume["secret"].get("items")
        elif "configMap" in volume:
            found = self._read("ConfigMap", volume["configMap"]["name"])
            data = {key: value.encode() for key, value in (found.get("data") or {}).items()}
            items = volume["configMap"].get("items")
        else:
            return {}
        if items is None:
            return data
        missing = [item["key"] for item in items if item["key"] not in data]
        if missing:
            raise Missing(f"{volume['name']}: there is no key {missing[0]}")
        return {item["path"]: data[item["key"]] for item in items}


def listens(address: str) -> bool:
    """Whether a socket of this machine listens on `address` (TCP), or is bound to it (UDP)."""
    number = struct.unpack("=I", socket.inet_aton(address))[0]
    plain, mapped = f"{number:08X}", f"0000000000000000FFFF0000{number:08X}"
    for table, state in (("tcp", LISTEN), ("tcp6", LISTEN), ("udp", ANY_UDP), ("udp6", ANY_UDP)):
        with contextlib.suppress(FileNotFoundError), Path(f"/proc/net/{table}").open() as lines:
            for line in lines:
                columns = line.split()
                if columns[3] == state and columns[1].partition(":")[0] in (plain, mapped):
                    return True
    return False
