from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchfiles import Change

from gatewayd.observe.log import Log
from gatewayd.server.watch import Watch, directories, relevant, trees
from tests.processes import PATIENCE, wait_until


class Seen:
    """What a watch told."""

    def __init__(self) -> None:
        self.paths: list[set[str] | None] = []
        self.lock = threading.Lock()

    def touched(self, paths: set[str] | None) -> None:
        with self.lock:
            self.paths.append(paths)

    def clear(self) -> None:
        with self.lock:
            self.paths.clear()


@pytest.fixture
def watching() -> Iterator[Callable[..., Seen]]:
    """Start a watch, and wait until it is alive: until `probe`, when called, is told."""
    started: list[Watch] = []

    def start(*paths: Path, probe: Callable[[], object]) -> Seen:
        seen = Seen()
        watch = Watch([str(path) for path in paths], seen.touched, Log(2))
        started.append(watch)
        watch.start()

        def alive() -> bool:
            probe()
            return bool(seen.paths)

        wait_until(alive, "the watch tells of the probe", PATIENCE)
        # What the probes have caused may still be on its way; a marker behind it tells when all of it is here.
        return seen

    yield start
    for watch in started:
        watch.stop()
    for thread in threading.enumerate():
        if thread.name == "watch":
            thread.join(PATIENCE)


def told(seen: Seen, name: str) -> None:
    def found() -> bool:
        with seen.lock:
            return any(paths is None or any(Path(path).name == name for path in paths) for paths in seen.paths)

    wait_until(found, f"the watch tells of {name}", PATIENCE)


def test_new_changed_and_removed_files_at_any_depth(tmp_path: Path, watching: Callable[..., Seen]) -> None:
    deep = tmp_path / "team" / "shop"
    deep.mkdir(parents=True)
    seen = watching(tmp_path, probe=lambda: (tmp_path / "probe.yaml").write_text("1"))
    for act in ("write", "write", "unlink"):
        seen.clear()
        file = deep / "new.yaml"
        file.write_text(act) if act == "write" else file.unlink()
        told(seen, "new.yaml")


def test_a_directory_that_was_not_there_yet(tmp_path: Path, watching: Callable[..., Seen]) -> None:
    seen = watching(tmp_path, probe=lambda: (tmp_path / "probe.yaml").write_text("1"))
    (tmp_path / "later").mkdir()
    told(seen, "later")


def test_an_editor_that_renames(tmp_path: Path, watching: Callable[..., Seen]) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("old")
    seen = watching(file, probe=lambda: file.write_text("probe"))
    seen.clear()
    (tmp_path / "routes.yaml.tmp").write_text("new")
    (tmp_path / "routes.yaml.tmp").replace(file)
    told(seen, "routes.yaml")


def test_the_swap_of_a_config_map_mount(tmp_path: Path, watching: Callable[..., Seen]) -> None:
    def publish(version: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "routes.yaml").write_text(version)
        (tmp_path / "..tmp").symlink_to(version)
        (tmp_path / "..tmp").replace(tmp_path / "..data")

    publish("..2024_1")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")
    for target in (tmp_path, tmp_path / "routes.yaml"):
        marker = tmp_path / "..data" / "routes.yaml"
        seen = watching(target, probe=lambda marker=marker: marker.write_text("probe"))
        seen.clear()
        publish(f"..2024_{2 if target == tmp_path else 3}")
        told(seen, "..data")


def test_a_directory_given_through_a_link_that_is_turned(tmp_path: Path, watching: Callable[..., Seen]) -> None:
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
    current = tmp_path / "current"
    current.symlink_to("1")
    seen = watching(current, probe=lambda: (tmp_path / "1" / "probe.yaml").write_text("1"))
    seen.clear()
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").replace(current)
    told(seen, "current")

    def followed() -> bool:
        (tmp_path / "2" / "after.yaml").write_text("1")
        return any(paths and str(tmp_path / "2" / "after.yaml") in paths for paths in list(seen.paths))

    wait_until(followed, "the new directory is watched", PATIENCE)


def test_a_name_that_is_not_utf8_hides_nothing(
    tmp_path: Path, watching: Callable[..., Seen], capfd: pytest.CaptureFixture[str]
) -> None:
    seen = watching(tmp_path, probe=lambda: (tmp_path / "probe.yaml").write_text("1"))
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("1")
        seen.clear()
        (tmp_path / name).write_text("1")
        told(seen, name)
    assert "cannot be watched" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("routes.yaml", True),
        ("routes.YML", True),
        ("routes.json", True),
        ("..data", True),
        ("..2024_01_01.1", True),
        ("gone", True),
        ("access.log", False),
        ("routes.yaml.swp", False),
        ("conf.d", True),
    ],
)
def test_what_can_matter(tmp_path: Path, name: str, expected: bool) -> None:
    (tmp_path / "conf.d").mkdir()
    assert relevant(Change.modified, str(tmp_path / name)) is expected


def test_where_to_watch(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.yaml").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "link.yaml").symlink_to("real/a.yaml")
    paths = [str(tmp_path / "link.yaml"), str(tmp_path / "tree"), str(tmp_path / "missing" / "x.yaml")]
    assert trees(paths) == {tmp_path / "tree"}
    assert directories(paths) == {tmp_path, tmp_path / "real"}
