"""A site with routes of every kind, backends that misbehave behind them, and trouble: whatever can change does."""

from __future__ import annotations

import asyncio
import itertools
import random

from tests.certificates import self_signed
from tests.e2e.auth_services import CallService
from tests.e2e.call_server import CallServer
from tests.faults.stage.rough import Rough
from tests.faults.stage.rough2 import Rough2
from tests.faults.stage.stage import Stage, gateway_config
from tests.faults.stage.tally import Tally
from tests.manifests import (
    Manifest,
    gateway,
    gateway_class,
    grpc_route,
    http_route,
    https,
    listener,
    rule,
    secret,
    service,
    tcp_route,
    traffic_policy,
)  # fmt: skip

TIMES = {
    "head": "2s", "tlsHandshake": "2s", "idle": "2s", "bodyRead": "1500ms", "write": "2s", "connect": "1s",
    "firstByte": "1500ms", "authorization": "1s", "streamIdle": "1500ms", "tunnelIdle": "3s", "halfClosed": "1s",
}  # fmt: skip
RETRY = {"codes": [503], "attempts": 2, "backoff": "10ms"}
ALLOWANCE = {"budget": {"percent": 20, "interval": "10s"}, "minRetryRate": {"count": 10, "interval": "1s"}}


def asks(name: str, body: int = 0, protocol: str = "HTTP") -> Manifest:
    """An ExternalAuth filter."""
    how: Manifest = {"http": {"path": "/check"}} if protocol == "HTTP" else {"grpc": {}}
    spec = {"protocol": protocol, "backendRef": {"name": name, "port": 80}, "forwardBody": {"maxSize": body}, **how}
    return {"type": "ExternalAuth", "externalAuth": spec}


def mirror(name: str) -> Manifest:
    """A RequestMirror to a Service."""
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name, "port": 80}}}


def h2c(objects: list[Manifest]) -> list[Manifest]:
    """The same Service, in HTTP/2."""
    objects[0]["spec"]["ports"][0]["appProtocol"] = "kubernetes.io/h2c"
    return objects


class Ground:
    """The backends and the files."""

    def __init__(self, stage: Stage, tally: Tally) -> None:
        self.folder = stage.folder
        self.rough = [Rough(tally) for _ in range(4)]  # the third dies and returns, the last is asked for nothing bad
        self.raw = Rough(tally, raw=True)
        self.http2: set[Rough2] = set()
        self.calls, self.judge = CallServer("calls"), CallService()
        self.certificates = []
        for number in range(2):
            files = [stage.scratch / f"{number}.{kind}" for kind in ("crt", "key")]
            self_signed("localhost", *files)
            self.certificates.append([file.read_bytes() for file in files])

    async def start(self, calm: int, tally: Tally) -> None:
        """Listen, and write everything."""
        for backend in (*self.rough, self.raw):
            await backend.start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Rough2(tally, self.http2), "127.0.0.1", 0, backlog=1024)
        http2 = self._server.sockets[0].getsockname()[1]
        one, other, mortal, steady = (backend.port for backend in self.rough)
        services = {"calm": [calm], "rough": [one, other], "mortal": [mortal], "half": [one, mortal],
                    "steady": [steady], "raw": [self.raw.port], "retried": [one, other, mortal]}  # fmt: skip
        written = [manifest for name, ports in services.items() for manifest in service(name, *ports)]
        for name, port in {"calls": self.calls.port, "http2": http2}.items():
            written += h2c(service(name, port))
        written += service("judge", self.judge.port) + service("no-judge", http2)
        self.folder.write("services.yaml", *written, traffic_policy("calm", "retried", retryConstraint=ALLOWANCE))
        settings = {"timeouts": TIMES, "upstream": {"idleTimeout": "1s", "connections": 60}}
        self.folder.write("class.yaml", gateway_class(), gateway_config(settings))
        self.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"))
        self.folder.write("routes.yaml", self._routes(), grpc_route("calls", self._calls()))
        self.whole(here=True)
        self.certificate(0)

    def _routes(self) -> Manifest:
        return http_route(
            "all",
            rule("calm", "/"),
            rule("rough", "/plain"),
            rule("steady", "/steady"),
            rule("steady", "/allowed", [asks("judge", protocol="GRPC"), mirror("mortal")]),
            rule("mortal", "/mortal"),
            rule("http2", "/http2"),
            rule("rough", "/mirrored", [mirror("rough"), mirror("mortal"), mirror("http2")]),
            rule("retried", "/retried", retry=RETRY),
            rule("half", "/timed", timeouts={"request": "800ms", "backendRequest": "500ms"}),
            rule("half", "/sticky", sessionPersistence={"cookie": {"name": "sid"}}),
            rule("rough", "/judged", [asks("half")]),
            rule("rough", "/shown", [asks("half", 200_000)]),
            rule("rough", "/called", [asks("judge", protocol="GRPC")]),
            rule("rough", "/closed", [asks("no-judge", protocol="GRPC")]),
        )  # fmt: skip

    def _calls(self) -> Manifest:
        made = rule("calls")
        made["matches"] = [{"method": {"service": "test.Echo"}}]
        return made

    def whole(self, *, here: bool) -> None:
        """With a listener and a route, or without. The backend of the route comes and goes too."""
        config = {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": "settings"}
        listeners = [listener("http", 80), https("https", 443, "cert"), listener("tcp", 90, "TCP")]
        coming = [listener("coming", 81), listener("coming-tcp", 91, "TCP")] if here else []
        self.folder.write("gateway.yaml", gateway(*listeners, *coming, infrastructure={"parametersRef": config}))
        parts = [tcp_route("coming", {"raw": 1}, "coming-tcp")] if here else []
        self.folder.write("coming.yaml", http_route("coming", rule("coming", "/coming")), *parts)

    def endpoints(self, number: int) -> None:
        """A backend with other endpoints, or none."""
        ports = [backend.port for backend in self.rough][: number % 4]
        self.folder.write("endpoints.yaml", *(service("coming", *ports) if ports else []), gateway_class("other"))

    def certificate(self, number: int) -> None:
        """One of two."""
        self.folder.write("secret.yaml", secret("cert", *self.certificates[number % 2]))

    def stop(self) -> None:
        """End everything."""
        for backend in (*self.rough, self.raw):
            backend.die()
        self._server.close()
        for peer in list(self.http2):
            peer.die()
        self.calls.stop()
        self.judge.stop()

    async def trouble(self) -> None:
        """Change something again and again."""
        changes = (
            lambda number: self.whole(here=number % 10 < 6),
            lambda number: self.endpoints(number // 5),
            lambda number: self.certificate(number // 5),
            lambda _: self.rough[2].die(),
            self._cut_some,
        )
        try:
            for number in itertools.count():
                changes[number % 5](number)
                await asyncio.sleep(0.3)
                if number % 5 == 3:
                    await self.rough[2].start()
        finally:
            self.rough[2].die()
            await self.rough[2].start()
            self.whole(here=True)

    def _cut_some(self, _: int) -> None:
        for peer in random.sample(sorted(self.http2, key=id), len(self.http2) // 3):
            peer.die()
