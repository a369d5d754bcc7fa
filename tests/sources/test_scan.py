"""What is in a directory and is not read."""

from __future__ import annotations

import os
from pathlib import Path

from gatewayd.sources.files import FileSource

TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"


def test_a_name_that_is_not_utf8_is_reported_and_harms_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(TEXT)
    (tmp_path / os.fsdecode(b"two\xff.yaml")).write_text("a: [")
    loaded = FileSource([tmp_path]).load()
    assert [item.name for item in loaded.objects.all()] == ["one"]
    (problem,) = loaded.problems
    assert str(problem) == f"{tmp_path}/two\\xff.yaml: the name of the file is not UTF-8; rename it"


def test_a_pipe_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(TEXT)
    os.mkfifo(tmp_path / "two.yaml")
    (tmp_path / "three.yaml").symlink_to("two.yaml")
    loaded = FileSource([tmp_path]).load()
    assert [item.name for item in loaded.objects.all()] == ["one"]
    assert {(os.path.basename(each.file), each.message) for each in loaded.problems} == {
        ("two.yaml", "is no regular file and is not read"),
        ("three.yaml", "is no regular file and is not read"),
    }
