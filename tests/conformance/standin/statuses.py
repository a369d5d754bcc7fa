"""What gatewayd says of the objects: `/status` of its admin API, read for each request of the suite."""

from __future__ import annotations

import asyncio
import json
from typing import Any

FRESH = 0.03  # seconds; requests that come together share one reading

Status = dict[str, Any]


class Statuses:
    """Statuses by the uid of the object that they are about, so that an object never shows its namesake's."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._known: dict[str, Status] = {}

    async def read(self) -> dict[str, Status]:
        """All statuses, at most FRESH seconds old. ConnectionError when gatewayd does not answer."""
        async with self._lock:
            if asyncio.get_running_loop().time() - self._read_at > FRESH:
                items = json.loads(await self._body())["items"]
                self._known = {
                    item["metadata"]["uid"]: item["status"]
                    for item in items
                    if "status" in item and "uid" in item["metadata"]
                }
                self._read_at = asyncio.get_running_loop().time()
        return self._known

    async def _body(self) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**24)
        try:
            host = f"{self._host}:{self._port}"
            writer.write(f"GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(head.partition(b"\r\n")[0].decode("latin-1"))
            return await reader.read()
        finally:
            writer.close()
