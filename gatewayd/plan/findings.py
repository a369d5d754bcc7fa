"""What the author of one rule should know, field by field: what a compiler notes while it goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatewayd.api.problem import Path
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.remarks import Remark


class Finding(NamedTuple):
    """Something to tell about one field. `verdict` is set when a reference could not be resolved, `closed` when
    requests are refused because of it, `invalid` when that is for its author to mend and not for a later version.
    """

    path: Path
    message: str
    hint: str = ""
    verdict: Verdict | None = None
    closed: bool = False
    invalid: bool = False


class Findings:
    """All findings of one rule. `unresolved`: references that lead nowhere; `not_served`: what is not served as
    written; `noted`: the rest.
    """

    __slots__ = ("not_served", "noted", "unresolved")

    def __init__(self) -> None:
        self.unresolved: list[Finding] = []
        self.not_served: list[Finding] = []
        self.noted: list[Finding] = []

    def coming(self, path: Path, message: str, hint: str = "") -> None:
        """Not served by this version: requests are refused because of it."""
        self.not_served.append(Finding(path, message, hint, closed=True))

    def invalid(self, path: Path, message: str, hint: str = "") -> None:
        """Not served in any version: requests are refused until its author mends it."""
        self.not_served.append(Finding(path, message, hint, closed=True, invalid=True))

    def note(self, remarks: Iterable[Remark], path: Path) -> None:
        """Remarks on what stands at `path`."""
        self.noted += [Finding((*path, *one.path), one.message, one.hint) for one in remarks]
