"""What CONTRIBUTING says of the modules is true of them."""

from __future__ import annotations

import re

import pytest

from tests.processes import ROOT

PROXY = ROOT / "gatewayd/proxy"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("package", ["proxy", "plan"])
def test_every_module_has_its_place(package: str):
    table = TEXT.partition(f"## Where what stands in `{package}`")[2].partition("##")[0]
    named = {word for row in table.splitlines() if row.startswith("|") for word in re.findall(r"`([\w/]+)`", row)}
    folder = ROOT / "gatewayd" / package
    files = [path for path in folder.rglob("*.py") if path.stem != "__init__"]
    assert named == {str(path.relative_to(folder).with_suffix("")) for path in files}


def test_every_file_that_is_named_is_there():
    named = set(re.findall(r"`((?:\w+/)+[\w.]+)`", TEXT))
    assert named
    for name in named:
        places = [ROOT / name, ROOT / "gatewayd" / name, ROOT / "gatewayd" / f"{name}.py", PROXY / f"{name}.py"]
        assert any(place.exists() for place in places), name
