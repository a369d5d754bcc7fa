from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.sources.files import TICK_NS, FileSource, Loaded
from tests.sources.loading import config, errors, identities, many, names, value, warnings


def test_folders_are_read_recursively_in_order(folder: Path):
    loaded = FileSource([folder]).load()
    assert names(loaded) == ["a1", "a2", "c", "d"]
    assert loaded.problems == []
    assert loaded.changed
    assert not loaded.unsettled
    assert [item.file for item in loaded.objects.all()][:2] == [str(folder / "a.yaml")] * 2


def test_a_file_is_read_once_whatever_leads_to_it(folder: Path):
    (folder / "link.yaml").symlink_to("a.yaml")
    (folder / "circle").symlink_to(folder)
    loaded = FileSource([folder / "b" / "c.yml", folder, folder / "a.yaml"]).load()
    assert names(loaded) == ["c", "a1", "a2", "d"]
    assert loaded.problems == []


def test_a_given_file_may_have_any_name(tmp_path: Path):
    (tmp_path / "routes.conf").write_text(config("a"))
    assert names(FileSource([tmp_path / "routes.conf"]).load()) == ["a"]


def test_nothing_changed_is_the_same_instance(folder: Path):
    source = FileSource([folder])
    first = source.load()
    second = source.load()
    assert second.objects is first.objects
    assert not second.changed


@pytest.mark.parametrize("hinted", [True, False])
def test_only_what_changed_becomes_a_new_object(folder: Path, hinted: bool):
    source = FileSource([folder])
    before = identities(source.load())
    (folder / "a.yaml").write_text(many("a1") + "---\n" + config("a2", "new") + "---\n" + config("a3"))
    loaded = source.load([folder / "a.yaml"] if hinted else None)
    after = identities(loaded)
    assert loaded.changed
    assert list(after) == ["a1", "a2", "a3", "c", "d"]
    assert {name for name in before if after[name] is not before[name]} == {"a2"}
    assert value(loaded, "a2") == "new"


@pytest.mark.parametrize("hinted", [True, False])
def test_removed_objects_and_files_are_gone(folder: Path, hinted: bool):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text(many("a2"))
    (folder / "b" / "c.yml").unlink()
    loaded = source.load([folder / "a.yaml", folder / "b" / "c.yml"] if hinted else None)
    assert names(loaded) == ["a2", "d"]
    assert loaded.problems == []


def test_a_hint_at_something_new_is_found(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "b" / "new.yaml").write_text(config("new"))
    assert names(source.load([folder / "b" / "new.yaml"])) == ["a1", "a2", "c", "d", "new"]


def test_hints_without_a_change_change_nothing(folder: Path):
    source = FileSource([folder])
    first = source.load()
    (folder / "a.yaml").touch()
    again = source.load([folder / "a.yaml"])
    assert not again.changed
    assert again.objects is first.objects


def test_hints_may_be_relative_or_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    source = FileSource(["b"])
    assert [item.file for item in source.load().objects.all()] == ["b/c.yml", "b/d.json"]
    for hint in ("b/c.yml", "./b/c.yml", folder / "b" / "c.yml"):
        Path("b/c.yml").write_text(config("c", f"v{str(hint).count('/')}"))
        assert value(source.load([hint]), "c") == f"v{str(hint).count('/')}"


def test_two_writes_within_a_tick_of_the_clock_are_both_seen(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatewayd.sources.files.TICK_NS", 10**15)
    frozen = time.time_ns()
    for module in ("files", "scan"):
        monkeypatch.setattr(f"gatewayd.sources.{module}.signature", lambda path: (frozen, 0, 0, hash(path), 0))
    (folder / "a.yaml").write_text(config("a1", "one"))
    source = FileSource([folder])
    assert value(source.load(), "a1") == "one"
    (folder / "a.yaml").write_text(config("a1", "two"))
    assert value(source.load(), "a1") == "two"


def test_an_old_file_with_the_same_signature_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = FileSource([folder])
    long_ago = time.time_ns() - 100 * TICK_NS
    for path in folder.rglob("*.[yj]*"):
        if path.is_file():
            os.utime(path, ns=(long_ago, long_ago))
    source.load()

    def refuse(*_: object) -> None:
        pytest.fail("an unchanged file was read again")

    monkeypatch.setattr("gatewayd.sources.file.File.read", refuse)
    assert not source.load().changed


def test_folders_without_a_file_are_said(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text(config("a"))
    source = FileSource([tmp_path])
    assert warnings(source.load()) == [f"{tmp_path}: holds no file to read; files are *.yaml, *.yml, *.json"]
    (tmp_path / "deep" / "a.yaml").write_text(config("a"))
    loaded = source.load()
    assert (names(loaded), loaded.problems) == (["a"], [])


def test_a_folder_with_the_name_of_a_file(folder: Path):
    (folder / "odd.yaml").mkdir()
    (folder / "odd.yaml" / "x.yaml").write_text(config("x"))
    assert names(FileSource([folder]).load()) == ["a1", "a2", "c", "d", "x"]


def mount(folder: Path, version: int, *configs: str) -> None:
    """What the kubelet does with a mounted ConfigMap: a new hidden folder, and one link that is swapped at once."""
    hidden = folder / f"..2024_{version}"
    hidden.mkdir()
    for name in configs:
        (hidden / f"{name}.yaml").write_text(config(name, f"v{version}"))
        if not (folder / f"{name}.yaml").is_symlink():
            (folder / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
    (folder / "..data_tmp").symlink_to(hidden.name)
    (folder / "..data_tmp").rename(folder / "..data")


def test_a_mounted_configmap_is_read_once_and_followed(tmp_path: Path):
    mount(tmp_path, 1, "a", "b")
    source = FileSource([tmp_path])
    loaded = source.load()
    assert names(loaded) == ["a", "b"]
    assert loaded.problems == []
    mount(tmp_path, 2, "a", "b")
    loaded = source.load([tmp_path / "..data"])
    assert (value(loaded, "a"), value(loaded, "b")) == ("v2", "v2")


def test_a_file_that_was_just_truncated_is_not_taken_as_empty(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text("")
    soon = time.time_ns() + 10**10
    os.utime(folder / "a.yaml", ns=(soon, soon))
    loaded = source.load([folder / "a.yaml"])
    assert names(loaded) == ["a1", "a2", "c", "d"]
    assert loaded.unsettled
    (folder / "a.yaml").write_text(config("a1", "new"))
    loaded = source.load([])
    assert (names(loaded), loaded.unsettled) == (["a1", "c", "d"], False)


def test_a_file_that_stays_empty_is_empty(folder: Path):
    source = FileSource([folder])
    source.load()
    (folder / "a.yaml").write_text("")
    os.utime(folder / "a.yaml", ns=(1, time.time_ns() - 10**9))
    loaded = source.load()
    assert (names(loaded), loaded.unsettled) == (["c", "d"], False)


def test_a_file_that_changes_while_it_is_read_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = FileSource([folder])
    source.load()
    path = folder / "a.yaml"
    path.write_text(config("half"))
    real = open

    def grow(name: str, mode: str) -> object:
        stream = real(name, mode)
        if name == str(path):
            path.write_text(many("half", "whole"))
        return stream

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", grow)
        loaded = source.load()
    assert loaded.unsettled
    assert names(loaded) == ["a1", "a2", "c", "d"]
    loaded = source.load([])
    assert (names(loaded), loaded.unsettled) == (["half", "whole", "c", "d"], False)


def test_the_same_object_twice_is_an_error_and_the_first_stays(folder: Path):
    (folder / "b" / "z.yaml").write_text(config("a1", "other"))
    loaded = FileSource([folder]).load()
    assert value(loaded, "a1") == "x"
    assert f"{folder}/b/z.yaml:1" in errors(loaded)[0]


def test_unknown_kinds_are_reported_once_for_all_files(folder: Path):
    for name in ("x", "y"):
        (folder / f"{name}.yaml").write_text(f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n")
    assert len(FileSource([folder]).load().problems) == 1


def test_the_set_up_of_a_cluster_is_skipped_without_parsing(folder: Path):
    (folder / "crd.yaml").write_text(
        "kind: CustomResourceDefinition\napiVersion: x/v1\nspec: {description: " + "x" * (2 << 20) + "}\n"
    )
    assert FileSource([folder]).load().problems == []


DOCUMENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), max_size=3)
FILES = ["1.yaml", "2.yaml", "sub/3.yaml", "sub.yaml", ".4.yaml", ".git/5.yaml", "6.yaml~"]
EDITS = st.lists(
    st.tuples(st.sampled_from(FILES), st.one_of(st.none(), DOCUMENTS), st.booleans()),
    min_size=1,
    max_size=8,
)


@given(EDITS)
@settings(max_examples=60, deadline=None)
def test_after_any_edits_it_is_as_if_read_afresh(edits: list[tuple[str, list[tuple[str, str]] | None, bool]]):
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sub").mkdir()
        (folder / ".git").mkdir()
        source = FileSource([folder])
        source.load()
        for file, content, hinted in edits:
            if content is None:
                (folder / file).unlink(missing_ok=True)
            else:
                text = "---\n".join(config(key, version) for key, version in content)
                (folder / file).write_text(text or "# nothing\n")
            loaded = source.load([folder / file] if hinted else None)
            fresh = FileSource([folder]).load()
            assert shown(loaded) == shown(fresh)
            assert loaded.problems == fresh.problems


def shown(loaded: Loaded) -> list[tuple[str, str, int, str]]:
    assert loaded.objects.of("ConfigMap") == loaded.objects.all()
    return [
        (item.key, item.source(("data", "value")), item.line, value(loaded, item.name)) for item in loaded.objects.all()
    ]


def test_a_change_among_thousands_of_files_is_found_fast(tmp_path: Path):
    for index in range(2000):
        (tmp_path / f"{index}.yaml").write_text(config(f"c{index}"))
    source = FileSource([tmp_path])
    before = source.load()
    (tmp_path / "7.yaml").write_text(config("c7", "new"))
    started = time.process_time()
    after = source.load([tmp_path / "7.yaml"])
    spent = time.process_time() - started
    assert [old.name for old, new in zip(before.objects.all(), after.objects.all(), strict=True) if old is not new] == [
        "c7"
    ]
    assert value(after, "c7") == "new"
    assert spent < 0.25
