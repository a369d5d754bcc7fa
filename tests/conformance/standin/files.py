"""Each object as one YAML file in the directory that gatewayd watches, as `kubectl get -o yaml` would show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.conformance.standin.kinds import CRD_GROUP, Kind

NEVER_WRITTEN = frozenset({"Pod", "Node", "CustomResourceDefinition"})  # what no one keeps as a file of his own


class Mirror:
    """Writes files when objects change. A file appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._draft = directory.parent / f"{directory.name}.draft"
        self._written: dict[str, str] = {}

    def __call__(self, kind: Kind, value: dict[str, Any], gone: bool) -> None:
        """Listener of a Store."""
        if kind.name in NEVER_WRITTEN or kind.group == CRD_GROUP:
            return
        metadata = value["metadata"]
        path = self._directory / f"{kind.plural}-{metadata['name'][:120]}-{metadata['uid']}.yaml"
        if gone:
            path.unlink(missing_ok=True)
            self._written.pop(metadata["uid"], None)
            return
        shown = {name: item for name, item in value.items() if name != "status"}
        text = yaml.dump(shown, Dumper=yaml.CSafeDumper, sort_keys=False)
        if self._written.get(metadata["uid"]) != text:
            self._draft.write_text(text)
            self._draft.replace(path)
            self._written[metadata["uid"]] = text
