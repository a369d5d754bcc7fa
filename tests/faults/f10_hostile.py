"""F10: backends whose responses break the rules. 502, or a clean cut, and never a byte of it in another answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_least, exactly, told
from tests.faults.stage.load import Load
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, witness

TITLE = "backends that break the rules of HTTP"
POISON = b"HTTP/1.1 200 OK\r\nx-id: 666\r\ncontent-length: 6\r\n\r\npoison"
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Case:
    """What the backend sends. The client must see one of `statuses`; 0 stands for a cut connection."""

    response: bytes
    statuses: frozenset[int] = frozenset({502})
    method: str = "GET"
    late: bytes = b""  # sent when the response is over: the connection may be in the pool


def ok(fields: bytes, body: bytes = b"ok") -> bytes:
    """A response with some fields."""
    return b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, body)


EITHER = frozenset({0, 502})
SERVED = frozenset({200})
CHUNKED = b"transfer-encoding: chunked"
CASES = {
    "length with chunked": Case(ok(b"content-length: 2\r\ntransfer-encoding: chunked", b"2\r\nok\r\n0\r\n\r\n")),
    "two lengths": Case(ok(b"content-length: 2\r\ncontent-length: 3")),
    "list of lengths": Case(ok(b"content-length: 2, 3")),
    "negative length": Case(ok(b"content-length: -2")),
    "length with a sign": Case(ok(b"content-length: +2")),
    "length of 20 digits": Case(ok(b"content-length: 18446744073709551618")),
    "unknown coding": Case(ok(b"transfer-encoding: gzip, chunked", b"0\r\n\r\n")),
    "coding in HTTP/1.0": Case(b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", EITHER),
    "line feeds only": Case(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok"),
    "folded field": Case(ok(b"x-a: 1\r\n 2\r\ncontent-length: 2")),
    "NUL in a field": Case(ok(b"x-a: 1\x002\r\ncontent-length: 2")),
    "CR in a field": Case(ok(b"x-a: 1\rset-cookie: a\r\ncontent-length: 2")),
    "space before the colon": Case(ok(b"content-length : 2")),
    "no colon": Case(ok(b"content-length 2\r\ncontent-length: 2")),
    "status of two digits": Case(b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok"),
    "HTTP/2 preface": Case(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00" * 40 + b"\r\n\r\n"),
    "no HTTP": Case(b"220 mail.example.com ESMTP\r\n\r\n"),
    "endless head": Case(b"HTTP/1.1 200 OK\r\n" + b"x-a: %b\r\n" % (b"a" * 1000) * 500),
    "endless status line": Case(b"HTTP/1.1 200 " + b"a" * 500_000),
    "5000 fields": Case(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000 + b"content-length: 2\r\n\r\nok"),
    "1000 interim responses": Case(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 1000 + GOOD),
    "101 unasked": Case(b"HTTP/1.1 101 OK\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n" + POISON),
    "chunk size in words": Case(ok(CHUNKED, b"2\r\nok\r\nnone\r\n\r\n"), EITHER),
    "chunk size with 0x": Case(ok(CHUNKED, b"0x2\r\nok\r\n0\r\n\r\n"), EITHER),
    "chunk longer than it says": Case(ok(CHUNKED, b"2\r\nokay\r\n0\r\n\r\n"), EITHER),
    "chunk lines of line feeds": Case(ok(CHUNKED, b"2\nok\n0\n\n"), EITHER),
    "endless trailers": Case(ok(CHUNKED, b"2\r\nok\r\n0\r\n" + b"a: b\r\n" * 50_000), EITHER),
    "spare response after the length": Case(GOOD + POISON, SERVED),
    "spare response after the last chunk": Case(ok(CHUNKED, b"2\r\nok\r\n0\r\n\r\n") + POISON, SERVED),
    "spare response when idle": Case(GOOD, SERVED, late=POISON),
    "204 with a body": Case(b"HTTP/1.1 204 No Content\r\ncontent-length: 6\r\n\r\npoison", frozenset({204, 502})),
    "204 with a response behind": Case(b"HTTP/1.1 204 No Content\r\n\r\n" + POISON, frozenset({204, 502})),
    "304 with a body": Case(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\npoison", frozenset({304, 502})),
    "HEAD with a body": Case(GOOD, SERVED, method="HEAD"),
}  # fmt: skip
AFTER = 5  # requests that follow on the same connection of the client, and are to be answered rightly


async def run(stage: Stage) -> list[Figure]:
    hostile = {f"/hostile/{number}": case for number, case in enumerate(CASES.values())}

    def answer(peer: Peer, request: Request) -> None:
        case = hostile.get(request.path)
        if case is None:
            witness(peer, request)
            return
        peer.write(case.response)
        if case.late:
            asyncio.get_running_loop().call_later(0.02, poison, peer, request.serial, case.late)
        else:
            tainted.append((peer, request.serial))

    def poison(peer: Peer, serial: int, late: bytes) -> None:
        if peer.requests == serial:  # the connection still rests
            tainted.append((peer, serial))
            peer.write(late)

    tainted: list[tuple[Peer, int]] = []
    backend = await stage.backend(answer)
    stage.site({"/": [backend.port]})
    served = await stage.gateway(workers=1)
    wrong: list[str] = []
    async with Load(served.port, clients=10, rate=100) as load:
        for _ in range(stage.count(10, 1)):
            for case, path in zip(CASES.items(), hostile, strict=True):
                wrong += await _once(served.port, *case, path)
    again = sum(peer.requests > serial for peer, serial in tainted)
    return [
        told("cases", len(CASES)),
        told("hostile responses sent", len(tainted)),
        *(Figure(text, 1, "", "none", passed=False) for text in sorted(set(wrong))),
        exactly("answers that were not as they must be", len(wrong), 0),
        exactly("connections used again after a hostile response", again, 0),
        told("right requests to the same backend", load.asked),
        at_least("right requests to the same backend served", len(load.answers), 1),
        exactly("right requests lost or with an answer not theirs", load.lost(), 0),
        exactly("defects counted by the gateway", await served.metric("gatewayd_exceptions_total"), 0),
    ]


async def _once(port: int, name: str, case: Case, path: str) -> list[str]:
    """One hostile response and what follows it; what was wrong."""
    client = Client(port, patience=20.0)
    wrong = []
    status, body = await _ask(client, case, path)
    if status not in case.statuses:
        wrong.append(f"{name}: answered {status}")
    if b"poison" in body:
        wrong.append(f"{name}: poison in the answer")
    if case.late:
        await asyncio.sleep(0.1)
    for _ in range(AFTER):
        try:
            await client.check()
        except LostError as lost:
            wrong.append(f"{name}: a request after it is lost: {lost.kind}")
    client.close()
    return wrong


async def _ask(client: Client, case: Case, path: str) -> tuple[int, bytes]:
    """(status, body); status 0 when the connection was cut."""
    try:
        head, body, _ = await client.ask(path, method=case.method)
    except LostError as lost:
        return (0 if lost.kind in {"reset", "short"} else -1), b""
    return head.status, body
