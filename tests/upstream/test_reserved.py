"""The admin API's address, in whatever way it is written, is the endpoint of no backend."""

from __future__ import annotations

import pytest

from gatewayd.upstream.backend import Backend
from gatewayd.upstream.reserved import Reserved

LOCAL = ["127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::1%lo"]
ROWS = [
    # (where the admin API listens, an endpoint's host, whether it leads there)
    *(("127.0.0.1", host, True) for host in LOCAL),
    *(("localhost", host, True) for host in LOCAL),
    *(("::1", host, True) for host in LOCAL),
    *(("0.0.0.0", host, True) for host in LOCAL),
    ("127.0.0.1", "10.0.0.5", False),
    ("127.0.0.1", "2001:db8::1", False),
    ("10.0.0.5", "10.0.0.5", True),
    ("10.0.0.5", "10.0.0.6", False),
    ("10.0.0.5", "127.0.0.1", False),
]


@pytest.mark.parametrize(("admin", "host", "leads"), ROWS)
def test_addresses(admin: str, host: str, leads: bool):
    notices: list[str] = []
    reserved = Reserved(admin, 9901, notices)
    others = [(host, 9900), ("192.0.2.1", 80)]
    assert reserved.without([(host, 9901), *others], "shop") == (others if leads else [(host, 9901), *others])
    assert len(notices) == leads


def test_a_backend_has_no_such_endpoint_and_the_log_is_told_once():
    notices: list[str] = []
    reserved = Reserved("127.0.0.1", 9901, notices)
    backend = Backend("XBackend/shop/far:9901", reserved)
    for _ in range(3):  # a name is resolved again and again
        backend.update([("127.0.0.1", 9901), ("10.0.0.1", 9901)], draining=[("::1", 9901)])
    assert [endpoint.host for endpoint in backend.endpoints] == ["10.0.0.1"]
    assert backend.bindable() == backend.endpoints
    assert notices == ["backend XBackend/shop/far:9901 leads to the admin API at 127.0.0.1, port 9901: never asked"]


def test_notices_are_bounded():
    notices: list[str] = []
    reserved = Reserved("127.0.0.1", 9901, notices)
    for number in range(100):
        reserved.without([("127.0.0.1", 9901)], f"b{number}")
    assert len(notices) == 10
