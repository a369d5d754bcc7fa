"""Pure functions of the traffic path, by the clock: microseconds for one call, the best of some repetitions.

The best, not the median: what disturbs a pure function only ever makes it slower.
"""

from __future__ import annotations

import random
import timeit
from collections.abc import Callable

from gatewayd.routing.snapshot import ListenerPlan, MatchPlan, PortPlan, RoutePlan, RulePlan, SharePlan
from gatewayd.routing.table import PortTable, compile_port
from gatewayd.wire.head import HeadLimits, RequestHead, parse_request
from gatewayd.wire.path import normalise
from gatewayd.wire.response_head import parse_response

LIMITS = HeadLimits()
PLAIN = b"GET /api/ HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
BROWSER = (
    b"GET /api/9f86d081884c7d65?page=7 HTTP/1.1\r\nHost: t1.example.com\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/131.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Referer: https://t1.example.com/shop/overview\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: same-origin\r\nCookie: consent=1; theme=dark; session=9f86d081884c7d659a2feaa0c55ad015\r\n"
    b"X-Request-Id: 9f86d081884c7d65\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 66\r\nConnection: keep-alive\r\n\r\n"
)
PATHS = (b"/api", b"/cart", b"/shop", b"/files", b"/upload")


def table(routes: int) -> PortTable:
    """One listener; hosts with five prefixes each."""
    plans = [
        RoutePlan(
            key=f"HTTPRoute/bench/route-{number}",
            kind="HTTPRoute",
            namespace="bench",
            name=f"route-{number}",
            rules=(
                RulePlan(
                    index=0,
                    matches=(MatchPlan(path=path),),
                    shares=(SharePlan("bench/backend:80"),),
                ),
            ),
        )
        for number, path in enumerate(PATHS[place % 5] for place in range(routes))
    ]
    hosts: dict[bytes, tuple[str, ...]] = {}
    for number, plan in enumerate(plans):
        host = b"t%d.example.com" % (number // 5)
        hosts[host] = (*hosts.get(host, ()), plan.key)
    listener = ListenerPlan(key="bench/edge/http", gateway="bench/edge", name="http", protocol="HTTP", hosts=hosts)
    port = PortPlan(key=":80", address="", port=80, number=80, transport="http", listeners=(listener,))
    return compile_port(port, {plan.key: plan for plan in plans})


def heads(routes: int, count: int = 1000) -> list[RequestHead]:
    """Requests to hosts and paths by chance, each with a path of its own."""
    chance = random.Random(7)
    made = []
    for number in range(count):
        place = chance.randrange(routes)
        data = b"GET %b/%x/%d HTTP/1.1\r\nHost: t%d.example.com\r\n\r\n" % (
            PATHS[place % 5],
            chance.getrandbits(64),
            number,
            place // 5,
        )
        head = parse_request(data, LIMITS)
        assert head is not None
        made.append(head)
    return made


def lookups(routes: int) -> Callable[[], None]:
    """A thousand lookups."""
    port, requests = table(routes), heads(routes)

    def find() -> None:
        for head in requests:
            listener = port.listener(head.host)
            if listener is None or listener.find(head) is None:
                raise LookupError(head.path)

    return find


def microseconds(work: Callable[[], object], calls: int = 1, repeat: int = 7) -> float:
    """One call of what `work` does `calls` times."""
    timer = timeit.Timer(work)
    number, _ = timer.autorange()
    return min(timer.repeat(repeat, max(1, number // 4))) / max(1, number // 4) / calls * 1e6


def figures(repeat: int = 7) -> dict[str, float]:
    """What is timed -> microseconds."""
    return {
        "parse a request head, 1 field": microseconds(lambda: parse_request(PLAIN, LIMITS), repeat=repeat),
        "parse a request head, 12 fields": microseconds(lambda: parse_request(BROWSER, LIMITS), repeat=repeat),
        "parse a response head, 5 fields": microseconds(lambda: parse_response(RESPONSE, LIMITS, b"GET"), 1, repeat),
        "normal form of a plain path": microseconds(lambda: normalise(b"/api/9f86d081884c7d65"), repeat=repeat),
        "normal form of an escaped path": microseconds(lambda: normalise(b"/a/./b/../%7euser/%2f"), repeat=repeat),
        "find a rule, 5 routes": microseconds(lookups(5), 1000, repeat),
        "find a rule, 500 routes": microseconds(lookups(500), 1000, repeat),
        "find a rule, 5,000 routes": microseconds(lookups(5000), 1000, repeat),
    }


def main() -> int:
    for name, value in figures().items():
        print(f"{name:36}{value:8.2f} us")
    return 0
