"""An ExternalAuth spec -> AuthPlan, and what its author should know about it (GEP-1494)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gatewayd.api.problem import Path
from gatewayd.plan.filters import UnservableError, field_name
from gatewayd.plan.remarks import Remark
from gatewayd.routing.authorization import SHOWN_BYTES
from gatewayd.routing.snapshot import AuthPlan
from gatewayd.wire.mutations import is_touchable
from gatewayd.wire.path import normalise

_PSEUDO = frozenset({":authority", ":method", ":path", ":scheme"})


def auth_plan(spec: Any, backend: str, host: str) -> AuthPlan:
    """An externalAuth whose backendRef was resolved to `backend`, which is known as `host`. UnservableError when it
    names what HTTP does not have.
    """
    body = min(_size(spec), SHOWN_BYTES)
    if spec.protocol == "GRPC":
        shown = _names(spec.grpc.allowed_headers if spec.grpc is not None else ())
        return AuthPlan(backend, True, host.encode(), request=shown, body=body)
    http = spec.http
    if http is None:
        return AuthPlan(backend, body=body)
    shown, taken = _names(http.allowed_headers), _names(http.allowed_response_headers)
    return AuthPlan(backend, path=_front(http.path or ""), request=shown, response=taken, body=body)


def remarks(spec: Any) -> Iterator[Remark]:
    """What an externalAuth that is served does not do, though it looks so; paths begin below `externalAuth`."""
    if spec.http is not None:
        yield from _stars(("http", "allowedHeaders"), spec.http.allowed_headers, "name each header")
        taken = spec.http.allowed_response_headers
        place: Path = ("http", "allowedResponseHeaders")
        yield from _stars(place, taken, "name each header; without a list all are taken")
        for index, name in enumerate(taken):
            if not is_touchable(name.lower().encode()):
                yield Remark((*place, index), f"{name} is never taken: the gateway writes it itself", "remove it")
    if spec.grpc is not None:
        hint = "name each header; without a list all are shown"
        yield from _stars(("grpc", "allowedHeaders"), spec.grpc.allowed_headers, hint)
    if _size(spec) > SHOWN_BYTES:
        message = f"a worker keeps at most {SHOWN_BYTES} bytes of such bodies; longer ones are answered 413"
        yield Remark(("forwardBody", "maxSize"), message, f"write {SHOWN_BYTES} or less")


def _stars(path: Path, names: Iterable[str], hint: str) -> Iterator[Remark]:
    for index, name in enumerate(names):
        if "*" in name:
            yield Remark((*path, index), f"`{name}` stands for no other header: there are no wildcards here", hint)


def _size(spec: Any) -> int:
    return (spec.forward_body.max_size or 0) if spec.forward_body is not None else 0


def _names(names: Iterable[str]) -> tuple[bytes, ...]:
    """Field names, and those of the pseudo-fields of HTTP/2, by which some know method and path."""
    return tuple(
        dict.fromkeys(name.lower().encode() if name.lower() in _PSEUDO else field_name(name) for name in names)
    )


def _front(path: str) -> bytes:
    """A path to put in front of others, in the form in which paths are matched (`wire.path`)."""
    if not path.strip("/"):
        return b""
    try:
        return normalise(f"/{path.strip('/')}".encode()).rstrip(b"/")
    except ValueError as error:
        raise UnservableError(str(error)) from None
