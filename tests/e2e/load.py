"""Load that counts its failures: clients that ask on and on until they are told to stop."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from typing import Self

from tests.talk import exchange, fetch, keep_alive


class Load:
    """Clients in threads; half of them keep their connection, half open a new one for each request.

    `failures` holds what went wrong, `served` how many requests were answered as they should be.
    """

    def __init__(self, port: int, target: str = "/", host: str | None = None, clients: int = 4) -> None:
        self.failures: list[str] = []
        self.served = 0
        self._request = {"target": target, "host": host}
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        kinds: list[Callable[[], None]] = [self._kept, self._fresh]
        self._threads = [threading.Thread(target=kinds[number % 2], daemon=True) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _kept(self) -> None:
        """One connection for all requests. That the server announces its end with `Connection: close` is no failure."""
        with keep_alive(self._port) as connection:
            while not self._stop.is_set():
                self._count(lambda: exchange(connection, **self._request).status)  # type: ignore[arg-type]

    def _fresh(self) -> None:
        while not self._stop.is_set():
            self._count(lambda: fetch(self._port, **self._request).status)  # type: ignore[arg-type]

    def _count(self, ask: Callable[[], int]) -> None:
        try:
            status = ask()
        except (OSError, http.client.HTTPException) as error:
            self._fail(f"{type(error).__name__}: {error}")
            return
        if status != 200:
            self._fail(f"status {status}")
            return
        with self._lock:
            self.served += 1

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
