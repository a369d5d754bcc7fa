"""Each peer takes the configuration that is written for it, where the peer is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import GATEWAYD, PEERS, envoy
from benchmarks.peers.peer import find
from benchmarks.site import Ports, Site, write_certificate

VERIFY = {
    "gatewayd": lambda command: [*command[:3], "check", command[4]],
    "nginx": lambda command: [*command, "-t"],
    "haproxy": lambda command: [part for part in command if part != "-db"] + ["-c"],
    "envoy": lambda command: [*command, "--mode", "validate"],
    "caddy": lambda command: [command[0], "validate", *command[2:]],
}
PORTS = Ports(http=10080, https=10443, tcp=10900, h2c=10081, h2_h2=10082, grpc=10083)


@pytest.mark.parametrize("access_log", [False, True], ids=["quiet", "logged"])
@pytest.mark.parametrize("name", VERIFY)
def test_the_configuration_is_accepted(name: str, access_log: bool, tmp_path: Path) -> None:
    peer = PEERS[name]
    if find(peer.program) is None:
        pytest.skip(f"{peer.program} is not installed")
    site = Site(tmp_path, backend=10000, backend_h2=10001, backend_grpc=10002, routes=50, access_log=access_log)
    write_certificate(site)
    launch = peer.launch(site, PORTS, tmp_path)
    command = VERIFY[name](launch.command)
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_a_site_has_five_routes_for_each_host() -> None:
    pairs = list(Site(Path(), 1, 2, 3, routes=500).pairs())
    assert len(pairs) == len(set(pairs)) == 500
    assert pairs[0] == ("localhost", "/api")
    assert pairs[-1] == ("t99.example.com", "/upload")


def test_the_version_of_envoy_is_not_a_part_of_its_path() -> None:
    assert envoy.of("\n/some/where/envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n") == "1.40.0"


def test_gatewayd_comes_first() -> None:
    assert next(iter(PEERS)) == GATEWAYD.name
