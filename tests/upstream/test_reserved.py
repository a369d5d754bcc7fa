"""The admin API's address, in whatever way it is written, is the endpoint of no backend."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from gatewayd.upstream.backend import Backend
from gatewayd.upstream.reserved import Reserved, _is_own, is_local, leads_home, leads_nowhere

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
    ("10.0.0.5", "::ffff:10.0.0.5", True),  # the same address in other words
    ("::ffff:10.0.0.5", "10.0.0.5", True),
    ("2001:db8::1", "2001:DB8:0::1", True),
    ("2001:db8::1", "2001:db8::2", False),
    ("0.0.0.0", "192.0.2.77", False),  # all addresses of this machine, and no other
    ("::", "2001:db8::2", False),
]


@pytest.mark.parametrize(("admin", "host", "leads"), ROWS)
def test_addresses(admin: str, host: str, leads: bool):
    notices: list[str] = []
    reserved = Reserved(admin, 9901, notices)
    others = [(host, 9900), ("192.0.2.1", 80)]
    assert reserved.without([(host, 9901), *others], "shop") == (others if leads else [(host, 9901), *others])
    assert len(notices) == leads


def test_every_address_of_the_machine_leads_to_what_listens_on_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatewayd.upstream.reserved._is_own", lambda address: str(address) == "10.0.0.5")
    for admin in ("0.0.0.0", "::", "gateway.example"):
        reserved = Reserved(admin, 9901, [])
        assert reserved.without([("10.0.0.5", 9901), ("10.0.0.6", 9901)], "shop") == [("10.0.0.6", 9901)]
    assert Reserved("127.0.0.1", 9901, []).without([("10.0.0.5", 9901)], "shop") == [("10.0.0.5", 9901)]


@pytest.mark.parametrize(("address", "own"), [("127.0.0.1", True), ("127.3.2.1", True), ("192.0.2.77", False)])
def test_which_addresses_are_of_the_machine(address: str, own: bool):
    assert _is_own(ip_address(address)) is own


NOWHERE = [
    *("169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),
    *("64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::"),  # the same by NAT64 and by 6to4
    *("fd00:ec2::254", "FD20:CE:0::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "::ffff:100.100.100.200"),
]


@pytest.mark.parametrize("host", NOWHERE)
def test_addresses_that_no_backend_has(host: str):
    assert leads_nowhere(host)


POSSIBLE = ["127.0.0.1", "::1", "10.0.0.1", "fd00::1", "192.0.2.1", "2001:db8::1", "64:ff9b::10.0.0.1", "2002:a00:1::1"]


@pytest.mark.parametrize("host", POSSIBLE)
def test_addresses_that_a_backend_may_have(host: str):
    assert not leads_nowhere(host)


HOMES = [
    *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1")),
    *((host, False) for host in ("10.0.0.1", "0.0.0.0", "fd00::1", "localhost")),
]


@pytest.mark.parametrize(("host", "home"), HOMES)
def test_addresses_of_loopback(host: str, home: bool):
    assert leads_home(host) is home


NAMES = [
    *((name, True) for name in ("localhost", "LOCALHOST.", "shop.localhost", "shop.test", "Api.Shop.Test", "box")),
    *((name, False) for name in ("example.com", "localhost.example.com", "notlocalhost", "old.test", "127.0.0.1")),
]


@pytest.mark.parametrize(("name", "local"), NAMES)
def test_names_that_are_the_machines_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, local: bool):
    hosts = tmp_path / "hosts"
    hosts.write_bytes(
        b"127.0.0.1 localhost\n127.0.1.1\tbox # example.com\n\n# 127.0.0.1 old.test\n::1 shop.test api.shop.test"
    )
    monkeypatch.setattr("gatewayd.upstream.reserved._HOSTS", hosts)
    assert is_local(name) is local


def test_without_a_hosts_file_only_localhost_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatewayd.upstream.reserved._HOSTS", tmp_path / "none")
    assert (is_local("localhost"), is_local("box")) == (True, False)


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
