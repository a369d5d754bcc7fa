"""What changed paths mean: which of them need a walk over all files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewayd.sources.files import FileSource, Loaded
from gatewayd.sources.scan import Scan, scan

TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


class Walked:
    """A source that has walked once, and how often it did since."""

    def __init__(self, *paths: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source = FileSource(paths)
        self.source.load()
        self.times = 0

        def counted(paths: list[str]) -> Scan:
            self.times += 1
            return scan(paths)

        monkeypatch.setattr("gatewayd.sources.files.scan", counted)

    def load(self, *changed: Path) -> Loaded:
        loaded = self.source.load(changed)
        assert names(loaded) == names(FileSource(self.source.paths).load())
        self.times -= 1  # by the line above
        return loaded


def names(loaded: Loaded) -> list[str]:
    return [item.name for item in loaded.objects.all()]


def write(path: Path, name: str = "") -> Path:
    path.write_text(TEXT.format(name=name or path.stem))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "routes"
    for name in ("a", "b/c", "b/e", "f"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        write(place / f"{name}.yaml")
    (place / ".git").mkdir()
    return place


@pytest.fixture
def walked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Walked:
    return Walked(folder, monkeypatch=monkeypatch)


def test_a_new_file_is_taken_in_at_its_place(folder: Path, walked: Walked) -> None:
    loaded = walked.load(write(folder / "b" / "d.yaml"))
    assert names(loaded) == ["a", "c", "d", "e", "f"]
    assert loaded.changed
    assert not walked.load().changed
    assert walked.times == 0
    assert not walked.source.load().changed  # a walk agrees


def test_several_new_files_and_a_renamed_one(folder: Path, walked: Walked) -> None:
    new = [write(folder / "b.yaml"), write(folder / "0a.yaml"), (folder / "f.yaml").rename(folder / "b" / "g.yaml")]
    assert names(walked.load(*new, folder / "f.yaml")) == ["0a", "a", "c", "e", "f", "b"]
    assert walked.times == 0


def test_a_file_that_comes_by_a_hidden_name(folder: Path, walked: Walked) -> None:
    hidden = write(folder / "b" / ".new.yaml.tmp", "new")
    hidden.rename(folder / "b" / "new.yaml")
    assert "new" in names(walked.load(hidden, folder / "b" / "new.yaml"))
    assert walked.times == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder / ".hidden.yaml"),
        lambda folder: write(folder / ".git" / "index.yaml"),
        lambda folder: folder / ".git" / "objects" / "lock",
        lambda folder: write(folder / "b" / "c.yaml~"),
        lambda folder: write(folder / "b" / "notes.txt"),
        lambda folder: folder / "4913",
        lambda folder: folder / "gone.yaml",
    ],
    ids=["hidden", "in a hidden folder", "gone in a hidden folder", "a copy", "another file", "a probe", "gone"],
)
def test_what_is_no_file_of_ours_needs_no_walk(change: Callable[[Path], Path], folder: Path, walked: Walked) -> None:
    assert not walked.load(change(folder)).changed
    assert walked.times == 0


def test_a_new_folder_needs_a_walk(folder: Path, walked: Walked) -> None:
    (folder / "new").mkdir()
    write(folder / "new" / "g.yaml")
    assert "g" in names(walked.load(folder / "new"))
    assert walked.times == 1
    assert "h" in names(walked.load(write(folder / "new" / "h.yaml")))
    assert walked.times == 1


def test_a_folder_that_goes_needs_a_walk(folder: Path, walked: Walked) -> None:
    (folder / "b").rename(folder.parent / "elsewhere")
    assert names(walked.load(folder / "b")) == ["a", "f"]
    assert walked.times == 1


@pytest.mark.parametrize("link", ["link.yaml", "link"])
def test_a_new_link_needs_a_walk(link: str, folder: Path, walked: Walked) -> None:
    write(folder / ".git" / "linked.yaml")
    (folder / link).symlink_to(folder / ".git" / ("linked.yaml" if link.endswith("yaml") else ""))
    assert "linked" in names(walked.load(folder / link))
    assert walked.times == 1


def test_where_there_are_links_a_hidden_file_may_be_what_one_leads_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / ".hidden.yaml", "before")
    (folder / "link.yaml").symlink_to(".hidden.yaml")
    walked = Walked(folder, monkeypatch=monkeypatch)
    assert "later" in names(walked.load(write(folder / ".hidden.yaml", "later")))
    assert walked.times == 1


def test_another_name_of_a_file_is_not_another_file(folder: Path, walked: Walked) -> None:
    os.link(folder / "f.yaml", folder / "g.yaml")
    loaded = walked.load(folder / "g.yaml")
    assert names(loaded) == ["a", "c", "e", "f"]
    assert not loaded.problems


def test_a_pipe_is_reported_by_a_walk(folder: Path, walked: Walked) -> None:
    os.mkfifo(folder / "pipe.yaml")
    assert [problem.message for problem in walked.load(folder / "pipe.yaml").problems] == [
        "is no regular file and is not read"
    ]
    (folder / "pipe.yaml").unlink()
    assert not walked.load(folder / "pipe.yaml").problems


def test_of_several_paths_new_files_are_left_to_a_walk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = Walked(folder / "b", folder, monkeypatch=monkeypatch)
    assert names(walked.load(write(folder / "b" / "d.yaml"))) == ["c", "d", "e", "a", "f"]
    assert walked.times == 1


def test_a_given_file_may_come_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = Walked(folder / "a.yaml", monkeypatch=monkeypatch)
    assert names(walked.load(write(folder / "a.yaml", "again"))) == ["again"]
    assert walked.times == 0
    (folder / "a.yaml").unlink()
    walked.source.load([folder / "a.yaml"])
    assert names(walked.load(write(folder / "a.yaml", "back"))) == ["back"]
