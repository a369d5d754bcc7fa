"""Files, objects and folders that cannot be read for now: what was good stays in force."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewayd.sources.files import FileSource
from tests.sources.loading import config, errors, identities, many, names, value, warnings

BROKEN = [
    b"a: [",
    b"\x00",
    b"\xff\xfe",
    b"- just\n- a list\n",
    b"a: &a [*a]\n",
    b"[" * 100_000,
    b"x" * (2 << 20),
]


@pytest.mark.parametrize("content", BROKEN, ids=[str(each[:8]) for each in BROKEN])
def test_a_file_that_cannot_be_parsed_keeps_its_last_good_objects(folder: Path, content: bytes):
    source = FileSource([folder])
    before = identities(source.load())
    (folder / "a.yaml").write_bytes(content)
    loaded = source.load()
    assert identities(loaded) == before
    assert loaded.changed
    assert len(errors(loaded)) == 1
    assert errors(loaded)[0].startswith(f"{folder}/a.yaml:1")
    [warning] = warnings(loaded)
    assert "the last valid version stays in force of: ConfigMap default/a1, ConfigMap default/a2" in warning
    assert not source.load().changed
    (folder / "a.yaml").write_text(many("a2"))
    fixed = source.load()
    assert names(fixed) == ["a2", "c", "d"]
    assert fixed.problems == []


def test_the_good_documents_of_a_broken_file_take_effect(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text(config("a1", "new") + "---\nx: [\n")
    loaded = source.load()
    assert value(loaded, "a1") == "new"
    assert value(loaded, "a2") == "x"


def test_an_object_that_became_invalid_keeps_its_last_good_version(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text(config("a1", "[1]") + "---\n" + config("a2", "new"))
    for loaded in (source.load(), source.load()):
        assert value(loaded, "a1") == "x"
        assert value(loaded, "a2") == "new"
        assert "data.value" in errors(loaded)[0]
        assert "a1" in warnings(loaded)[0]
    (folder / "a.yaml").write_text(config("a1", "fixed"))
    loaded = source.load()
    assert names(loaded) == ["a1", "c", "d"]
    assert value(loaded, "a1") == "fixed"
    assert loaded.problems == []


def test_an_invalid_object_that_was_taken_out_is_gone(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text(config("a1", "[1]"))
    assert names(source.load()) == ["a1", "c", "d"]
    (folder / "a.yaml").write_text("# nothing\n")
    loaded = source.load()
    assert names(loaded) == ["c", "d"]
    assert loaded.problems == []


def test_an_object_that_was_never_valid_is_left_out(folder: Path):
    (folder / "a.yaml").write_text(config("a1", "[1]"))
    loaded = FileSource([folder]).load()
    assert names(loaded) == ["c", "d"]
    assert warnings(loaded) == []


def test_an_object_that_moved_and_became_invalid_is_kept(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text(many("a2"))
    (folder / "b" / "c.yml").write_text(config("c") + "---\n" + config("a1", "[1]"))
    assert value(source.load(), "a1") == "x"


def test_a_kept_object_gives_way_to_a_valid_one_elsewhere(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text("a: [")
    source.load()
    (folder / "b" / "new.yaml").write_text(config("a1", "new"))
    loaded = source.load()
    assert value(loaded, "a1") == "new"
    assert value(loaded, "a2") == "x"
    assert len(errors(loaded)) == 1
    (folder / "b" / "new.yaml").unlink()
    assert names(source.load()) == ["a2", "c", "d"]


def test_a_dangling_link_keeps_the_last_good_objects(tmp_path: Path):
    target = tmp_path / "target"
    target.write_text(config("a"))
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "a.yaml").symlink_to(target)
    source = FileSource([watched])
    source.load()
    target.unlink()
    loaded = source.load()
    assert names(loaded) == ["a"]
    assert "the link leads nowhere" in errors(loaded)[0]
    target.write_text(config("a", "back"))
    loaded = source.load()
    assert value(loaded, "a") == "back"
    assert loaded.problems == []


def denied(real: Callable[..., object], path: Path) -> Callable[..., object]:
    """`real`, which fails for one path as it does for a user without the permission (the tests may run as root)."""

    def call(name: str, *rest: object) -> object:
        if name == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return real(name, *rest)

    return call


def test_an_unreadable_file_keeps_its_last_good_objects(folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text(config("new"))
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", denied(open, folder / "a.yaml"))
        loaded = source.load()
    assert names(loaded) == ["a1", "a2", "c", "d"]
    assert "Permission denied" in errors(loaded)[0]
    loaded = source.load()
    assert names(loaded) == ["new", "c", "d"]
    assert loaded.problems == []


def test_an_unreadable_file_that_gave_nothing_has_nothing_in_force(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("builtins.open", denied(open, folder / "a.yaml"))
    (folder / "f.yaml").symlink_to("nowhere")
    loaded = FileSource([folder]).load()
    hints = [problem.hint for problem in loaded.problems]
    assert hints == ["check its permissions", "remove it, or create what it leads to"]


def test_an_unreadable_folder_keeps_its_last_good_objects(folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = FileSource([folder])
    source.load()
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", denied(os.scandir, folder / "b"))
        loaded = source.load()
    assert names(loaded) == ["a1", "a2", "c", "d"]
    assert "Permission denied" in errors(loaded)[0]
    assert source.load().problems == []


def test_a_missing_path_is_a_problem_and_its_objects_stay(tmp_path: Path):
    source = FileSource([tmp_path / "nothing"])
    loaded = source.load()
    assert "No such file" in errors(loaded)[0]
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "a.yaml").write_text(config("a"))
    assert names(source.load()) == ["a"]
    (tmp_path / "nothing").rename(tmp_path / "moved")
    loaded = source.load()
    assert names(loaded) == ["a"]
    assert errors(loaded)
    (tmp_path / "moved").rename(tmp_path / "nothing")
    assert source.load().problems == []
