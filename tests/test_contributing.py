"""What CONTRIBUTING says of the modules is true of them."""

from __future__ import annotations

import re

from tests.processes import ROOT

PROXY = ROOT / "gatewayd/proxy"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_module_of_proxy_has_its_place():
    table = TEXT.partition("## Where what stands in `proxy`")[2].partition("##")[0]
    named = {word for row in table.splitlines() if row.startswith("|") for word in re.findall(r"`([\w/]+)`", row)}
    modules = {str(path.relative_to(PROXY).with_suffix("")) for path in PROXY.rglob("*.py") if path.stem != "__init__"}
    assert named == modules


def test_every_file_that_is_named_is_there():
    named = set(re.findall(r"`((?:\w+/)+[\w.]+)`", TEXT))
    assert named
    for name in named:
        places = [ROOT / name, ROOT / "gatewayd" / name, ROOT / "gatewayd" / f"{name}.py", PROXY / f"{name}.py"]
        assert any(place.exists() for place in places), name
