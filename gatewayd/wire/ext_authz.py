"""The messages of `envoy.service.auth.v3.Authorization/Check`: the question as bytes, the answer as a record.

What a question says of a request is what Envoy says by default. An answer that is not clear is none: where its parts
contradict each other, it does not allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from gatewayd.wire.mutations import ADD_IF_ABSENT, APPEND, OVERWRITE, OVERWRITE_IF_EXISTS, Mutation, is_name, is_value
from gatewayd.wire.protobuf import (
    MalformedMessageError,
    as_bytes,
    as_integer,
    fields,
    integer,
    last,
    message,
    octets,
    pair,
)

METHOD = b"/envoy.service.auth.v3.Authorization/Check"
MAX_CHANGES = 100  # of one kind in an answer, so that applying them stays cheap
FORBIDDEN = 403
UNAVAILABLE = 503

Address = tuple[str, int]  # of a socket
Item = TypeVar("Item")


class Call(NamedTuple):
    """The request that a service is asked about. `headers` are lower case, each name once; `size` is -1 when unknown;
    `moment` is in seconds since 1970.
    """

    identity: bytes
    method: bytes
    path: bytes  # with query
    host: bytes
    scheme: bytes
    protocol: bytes
    headers: Iterable[tuple[bytes, bytes]]
    size: int
    body: bytes
    source: Address | None
    destination: Address | None
    moment: float


def check_request(call: Call) -> bytes:
    """A CheckRequest."""
    http = b"".join(
        (
            octets(1, _utf8(call.identity)),
            octets(2, call.method),
            *(pair(3, name, _utf8(value)) for name, value in call.headers),
            octets(4, call.path),
            octets(5, call.host),
            octets(6, call.scheme),
            integer(9, call.size),
            octets(10, call.protocol),
            _body(call.body),
        )
    )
    seconds = int(call.moment)
    time = integer(1, seconds) + integer(2, int((call.moment - seconds) * 1e9))
    attributes = _peer(1, call.source) + _peer(2, call.destination) + message(4, message(1, time) + message(2, http))
    return message(1, attributes)


def _body(body: bytes) -> bytes:
    """As text, which is what servers look at; and as it is, where it is no UTF-8."""
    text = _utf8(body)
    return octets(11, text) if text is body else octets(11, text) + octets(12, body)


def _utf8(value: bytes) -> bytes:
    """A string of proto3 must be UTF-8; what is none becomes "!"."""
    if value.isascii():
        return value
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8", "replace").replace("\ufffd", "!").encode()
    return value


def _peer(number: int, address: Address | None) -> bytes:
    """AttributeContext.Peer with Address.socket_address of TCP."""
    if address is None:
        return b""
    return message(number, message(1, message(1, octets(2, address[0].encode()) + integer(3, address[1]))))


class CheckResponse(NamedTuple):
    """An answer. `status` is what a client gets that is not allowed. `headers` go into the request, or into the answer
    to such a client; `response_headers` into the backend's response; `remove` are names of the request.
    """

    allowed: bool
    status: int = FORBIDDEN
    headers: tuple[Mutation, ...] = ()
    remove: tuple[bytes, ...] = ()
    response_headers: tuple[Mutation, ...] = ()
    query_set: tuple[tuple[bytes, bytes], ...] = ()
    query_remove: tuple[bytes, ...] = ()
    body: bytes = b""


# The cases of CheckResponse.http_response.
_DENIED, _OK, _ERROR = 2, 3, 5


def check_response(data: bytes) -> CheckResponse:
    """Read a CheckResponse. MalformedMessageError, also where it says nothing at all, or has fields that are none of
    HTTP. Status OK allows unless it comes with a denied_response; a denied_response without OK need not say why.
    """
    status: bytes | None = None
    case, content = 0, b""
    for number, value in fields(data):
        if number == 1:  # what comes in pieces is one message (Protocol Buffers, "Last One Wins")
            status = (status or b"") + as_bytes(value)
        elif number in (_DENIED, _OK, _ERROR):
            if case not in (0, number):  # a oneof; no serializer writes two of them
                raise MalformedMessageError("two answers at once")
            content += as_bytes(value)
            case = number
    if status is None and not case:
        raise MalformedMessageError("an answer that says nothing")
    code = as_integer(last(status or b"").get(1))
    if case == _OK and not code:
        return _ok(content)
    if case in (_DENIED, _ERROR):
        return _denied(content, FORBIDDEN if case == _DENIED else UNAVAILABLE)
    return CheckResponse(not code)


def _ok(content: bytes) -> CheckResponse:
    found = _collect(content)
    return CheckResponse(
        True,
        headers=_each(found.get(2), _mutation),
        remove=_each(found.get(5), _name),
        response_headers=_each(found.get(6), _mutation),
        query_set=_each(found.get(7), _parameter),
        query_remove=_each(found.get(8), bytes),
    )


def _denied(content: bytes, otherwise: int) -> CheckResponse:
    """DeniedHttpResponse and ErrorHttpResponse have the same fields. A status that is none, or no final one, is not
    sent to a client.
    """
    found = _collect(content)
    status = as_integer(last(b"".join(found.get(1, ()))).get(1))
    return CheckResponse(
        False,
        status if 200 <= status <= 599 else otherwise,
        headers=_each(found.get(2), _mutation),
        body=found[3][-1] if 3 in found else b"",
    )


def _collect(content: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for number, value in fields(content):
        found.setdefault(number, []).append(as_bytes(value))
    return found


def _each(values: list[bytes] | None, read: Callable[[bytes], Item]) -> tuple[Item, ...]:
    if values is None:
        return ()
    if len(values) > MAX_CHANGES:
        raise MalformedMessageError("too many changes")
    return tuple(read(value) for value in values)


def _name(value: bytes) -> bytes:
    """A field name; those of pseudo-fields are let through, and ignored by whoever applies them."""
    name = value.lower()
    if not is_name(name.removeprefix(b":")):
        raise MalformedMessageError("no field name")
    return name


# HeaderValueOption.append_action. The first is what an answer has that does not name any, and in these messages a field
# replaces the client's own then: whoever can add to an identity has it.
_ACTIONS = {0: OVERWRITE, 1: ADD_IF_ABSENT, 2: OVERWRITE, 3: OVERWRITE_IF_EXISTS}


def _mutation(option: bytes) -> Mutation:
    """A HeaderValueOption."""
    found = last(option)
    header = last(as_bytes(found.get(1)))
    name = _name(as_bytes(header.get(1)))
    value = (as_bytes(header.get(2)) or as_bytes(header.get(3))).strip(b" \t")
    action = _ACTIONS.get(as_integer(found.get(3)))
    if not is_value(value) or action is None:
        raise MalformedMessageError("no field value, or an unknown action")
    if 2 in found:  # append, a BoolValue of older servers, goes before the action
        action = APPEND if as_integer(last(as_bytes(found[2])).get(1)) else OVERWRITE
    return Mutation(name, value, action)


def _parameter(value: bytes) -> tuple[bytes, bytes]:
    """A QueryParameter."""
    found = last(value)
    return as_bytes(found.get(1)), as_bytes(found.get(2))
