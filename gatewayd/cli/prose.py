"""An explanation as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatewayd.cli.session import session_lines

LOSERS_SHOWN = 12  # whose path does not fit; those that nearly won are always shown
Data = dict[str, Any]

# What the reason words of the gateway's own answers mean; the access log uses the same words.
REASONS = {
    "no_listener": "no listener of this port has a hostname that covers the host",
    "passed_through": "the backend's: it gets the bytes of the client as they come, from its ClientHello on",
    "streamed": "the backend's: it gets the bytes of the client as they come",
    "decrypted": "the backend's: it gets what the client sends, decrypted",
    "unknown_name": "no listener of this port takes this name: the connection is closed",
    "unrecognized_name": "nobody serves this name, and the client is told so: alert unrecognized_name",
    "closed": "no route or backend takes it: the connection is reset",
    "speaks_http": "this listener decrypts and speaks HTTP: ask for https://",
    "no_route": "no rule that is attached to this listener matches",
    "no_backends": "the rule names no backend and no redirect",
    "cors_preflight": "the gateway says which origins, methods and headers the CORS filter allows",
    "no_weight": "the weights of all its backends are 0",
    "auth_no_endpoints": "none of the endpoints of the service that authorizes is ready",
    "no_endpoints": "none of its endpoints is ready",
    "misdirected": "the host belongs to another listener than the name asked for in TLS",
    "BackendNotFound": "the backend or its port does not exist",
    "RefNotPermitted": "no ReferenceGrant permits the reference",
    "InvalidKind": "the kind of the backend is not known",
    "UnsupportedProtocol": "the backend's protocol does not suit the route",
    "BackendTLSNotServed": "the backend asks for TLS, which is not served yet",
    "BackendTLSPolicyNotServed": "a BackendTLSPolicy asks for TLS, which is not served yet",
    "bad_request_line": "method, path and query must be printable ASCII; write anything else percent-encoded",
    "bad_target": "the target of the request must be a path, a whole http URL, or * with OPTIONS",
    "bad_path": "the path holds %00, a backslash, a dot segment beside an encoded slash, or a % that begins no escape",
    "bad_host": "the host must be a name or an IP address, with a port or without; other scripts in their xn-- form",
    "bad_field": "a header field is outside the grammar: a name is a token, a value has no control characters",
    "bad_head": "a byte that no head may hold, such as a line feed without a carriage return",
    "bad_connection_option": "Connection must not name Host or a field that frames the message",
    "bad_content_length": "Content-Length must be digits alone",
    "bad_coding": "Transfer-Encoding must be chunked and nothing else",
    "unknown_coding": "the only transfer coding that is known is chunked",
    "length_and_coding": "Content-Length and Transfer-Encoding exclude each other",
    "upgrade_with_body": "a request to upgrade must not have a body",
    "bad_expect": "the only expectation that is known is 100-continue",
    "connect": "the gateway is no forward proxy: CONNECT is refused",
    "no_host": "HTTP/1.1 asks for one Host field",
    "line_too_long": "the first line is longer than limits.requestLine of the GatewayConfig",
    "head_too_large": "the head is larger than limits.head of the GatewayConfig",
    "too_many_fields": "there are more header fields than limits.fields of the GatewayConfig",
    "InvalidRule": "it guards something, and cannot be served as it is written",
    "ExternalAuthInvalid": "its ExternalAuth names what HTTP does not have",
    "ExternalAuthRepeated": "it has more than one ExternalAuth in one list of filters",
}


def tell(explanation: Data) -> Iterator[str]:
    """The lines for one port."""
    port = explanation["port"]
    mapped = f" (written as {port['number']})" if port["number"] != port["port"] else ""
    yield f"port      {port['address']}:{port['port']}{mapped}, {port['transport']}"
    listener = explanation["listener"]
    if listener is not None:
        hostname = f" for {listener['hostname']}" if listener["hostname"] else " for any host"
        yield f"listener  {listener['key']}{hostname}  {listener['source']}"
    rule = explanation["rule"]
    if rule is not None:
        yield f"rule      {rule['route']} rule {rule['rule']}  {rule['source']}"
        yield f"          matches {', '.join(rule['match'])}"
    for line in explanation["filters"]:
        yield f"filter    {line}"
    for line in explanation["limits"]:
        yield f"limit     {line}"
    if explanation["session"] is not None:
        yield from (f"session   {line}" for line in session_lines(explanation["session"]))
    yield f"answer    {_answer(explanation['answer'])}"
    yield from _backends(explanation["backends"])
    yield from _losers(explanation["candidates"])


def _answer(answer: Data) -> str:
    allowed = f"if {answer['allowed_by']} allows it, " if answer.get("allowed_by") else ""
    return allowed + _final(answer)


def _final(answer: Data) -> str:
    reason: str = answer["reason"]
    if reason == "forwarded":
        return f"the backend's: it is asked for {answer['target']} with host {answer['host']}"
    if "location" in answer:
        return f"{answer['status']} to {answer['location']}"
    said = REASONS.get(reason, reason)
    if answer["status"] is None:
        return said
    status = f"grpc-status {answer['grpc_status']}" if "grpc_status" in answer else answer["status"]
    return f"{status} {reason}{f': {said}' if said != reason else ''}"


def _backends(backends: list[Data]) -> Iterator[str]:
    for backend in backends:
        where = ", ".join(backend["endpoints"]) or "no endpoints"
        own = "" if backend["answer"] is None else f", answers {_answer(backend['answer'])}"
        yield f"backend   {backend['percent']:g} % (weight {backend['weight']}) {backend['backend']} at {where}{own}"
        for line in backend["filters"]:
            yield f"          filter {line}"
        for line in backend["policies"]:
            yield f"          policy {line}"


def _losers(candidates: list[Data]) -> Iterator[str]:
    """Who else was looked at, and the step at which each was out."""
    near = [one for one in candidates if one["outcome"] != "taken" and one["step"] != "path"]
    far = [one for one in candidates if one["step"] == "path"]
    for one in near:
        yield f"lost      {_loser(one)}: {_why(one)}"
    for one in far[:LOSERS_SHOWN]:
        yield f"lost      {_loser(one)}: the path differs"
    if len(far) > LOSERS_SHOWN:
        yield f"lost      ... and {len(far) - LOSERS_SHOWN} more whose path differs"


def _loser(one: Data) -> str:
    host = f" on {one['hostname']}" if one["hostname"] else ""
    return f"{one['route']} rule {one['rule']}{host} ({', '.join(one['match'])})  {one['source']}"


def _why(one: Data) -> str:
    if one["outcome"] == "differs":
        return f"{one['step']} differs"
    return f"fits, but loses by {one['step']}" if one["step"] else "fits, but another goes before it"
