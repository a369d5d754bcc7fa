"""A folder with files of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.loading import config, many


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.yaml").write_text(many("a1", "a2"))
    (tmp_path / "b" / "c.yml").write_text(config("c"))
    (tmp_path / "b" / "d.json").write_text(
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"},\n\t"data": {}}'
    )
    (tmp_path / "b" / "e.txt").write_text("no: yaml: at: all")
    (tmp_path / "b" / ".#c.yml").symlink_to("nowhere")
    return tmp_path
