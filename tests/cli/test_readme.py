"""What the README shows is what the commands print."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gatewayd.api.gatewayconfig import SETTINGS
from gatewayd.cli import main
from tests.processes import ROOT

DATA = Path(__file__).parent / "data"
README = (ROOT / "README.md").read_text()
SHOWN = [
    (command, output.splitlines())
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for command, output in re.findall(
        r"^\$ (gatewayd (?:check|status|explain) .*)\n((?:(?!\$ ).*\n)+)", block, re.MULTILINE
    )
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in which the README's commands are typed."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "shop").mkdir()
    shutil.copy(DATA / "shop.yaml", tmp_path / "shop")
    monkeypatch.chdir(tmp_path)


def test_there_is_something_to_compare():
    assert {command.split()[1] for command, _ in SHOWN} == {"check", "status", "explain"}


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_output_is_as_shown(command: str, output: list[str], capsys: pytest.CaptureFixture[str]):
    main(shlex.split(command)[1:])
    said = capsys.readouterr()
    printed = (said.out + said.err).splitlines()
    if output[-1] == "...":
        output, printed = output[:-1], printed[: len(output) - 1]
    assert printed == output


def test_every_option_of_run_is_in_the_table(capsys: pytest.CaptureFixture[str]):
    main(["run", "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert options <= set(re.findall(r"--[a-z][a-z-]+", README))


def test_every_limit_is_in_the_table():
    for section, field in SETTINGS.values():
        name = f"`{_camel(section)}.{_camel(field)}`" if section else f"`{_camel(field)}`"
        assert name in README


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.title() for word in rest)


def test_every_example_is_shown():
    shown = re.findall(r"^\| \[([\w-]+)\]\(config/\1\) \|", README, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "config").iterdir() if path.is_dir())


def test_links_lead_somewhere():
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
