"""A request that the API refuses, as the `Status` object that Kubernetes answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Refusal(Exception):
    """`code` is the HTTP status, `reason` one of metav1.StatusReason."""

    def __init__(self, code: int, reason: str, message: str, causes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.causes = causes

    def status(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "details": {"causes": [{"message": cause} for cause in self.causes]},
            "code": self.code,
        }


def not_found(plural: str, name: str) -> Refusal:
    """404: there is no such object."""
    return Refusal(404, "NotFound", f'{plural} "{name}" not found')


def invalid(kind: str, name: str, causes: Sequence[str]) -> Refusal:
    """422: the object is not what its definition asks for."""
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {"; ".join(causes)}', causes)
