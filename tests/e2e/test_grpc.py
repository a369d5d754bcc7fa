"""gRPC through a real gateway, between real peers: clients and servers of grpcio."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Timer
from typing import Any

import grpc
import pytest

from tests.certificates import self_signed
from tests.e2e.call_server import MESSAGE, CallServer, channel
from tests.manifests import (
    Folder,
    Manifest,
    gateway,
    gateway_class,
    grpc_route,
    http_route,
    https,
    listener,
    rule,
    secret,
    service,
)
from tests.processes import PATIENCE, Echo, Gateway, free_port, wait_until
from tests.talk import curl, fetch

HOST = "calls.test"
Code = grpc.StatusCode
OVER = ("gateway: request timeout", "Deadline Exceeded")  # grpcio's server keeps a deadline too, and may be first


def to(backends: Any, *matches: Manifest, **more: Any) -> Manifest:
    """A rule of a GRPCRoute."""
    return rule(backends, **more) | ({"matches": list(matches)} if matches else {})


def method(service: str = "", name: str = "", **headers: str) -> Manifest:
    """A match."""
    parts = {"service": service, "method": name}
    named = {"method": {key: value for key, value in parts.items() if value}} if service or name else {}
    return named | ({"headers": [{"name": key, "value": value} for key, value in headers.items()]} if headers else {})


def edits(kind: str, **edit: Any) -> Manifest:
    return {"type": kind, kind[0].lower() + kind[1:]: edit}


FILTERS = [
    edits(
        "RequestHeaderModifier",
        set=[{"name": "set", "value": "gateway"}],
        add=[{"name": "added", "value": "gateway"}],
        remove=["removed"],
    ),
    edits("ResponseHeaderModifier", set=[{"name": "greeting", "value": "changed"}]),
]
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b", "port": 80}}}
RULES = [
    to("a", method("test.Echo")),
    to("a", method("test.Echo", "Download")),
    to("b", method("test.Echo", version="two")),
    to("b", method(name="Only")),
    to({"a": 3, "b": 1}, method("test.Shared")),
    to("a", method("test.Edited"), filters=FILTERS),
    to("a", method("test.Mirrored"), filters=[MIRROR]),
    to("empty", method("test.Empty")),
    to("closed", method("test.Closed")),
    to("absent", method("test.Absent")),
    to({"a": 0}, method("test.Nothing")),
    to("cut", method("test.Cut")),
]


class Site:
    """A gateway with clear text and TLS, two servers of calls, and a backend for HTTP."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.a, self.b, self.cut = CallServer("a"), CallServer("b"), CallServer("cut")
        for server in (self.a, self.b, self.cut):
            stack.callback(server.stop)
        echo = Echo("pages")
        stack.callback(echo.stop)
        files = scratch / "tls.crt", scratch / "tls.key"
        self_signed(HOST, *files)
        self.certificate = files[0].read_bytes()
        folder = Folder(scratch / "manifests")
        folder.write("gateway.yaml", gateway_class(), gateway(listener("http", 80), https("https", 443, "tls")))
        folder.write("tls.yaml", secret("tls", self.certificate, files[1].read_bytes()))
        ports = {"a": [self.a.port], "b": [self.b.port], "empty": [], "closed": [free_port()], "cut": [self.cut.port]}
        folder.write("backends.yaml", *(one for name, at in ports.items() for one in service(name, *at)))
        folder.write("routes.yaml", grpc_route("calls", *RULES, hostnames=[HOST]))
        folder.write("pages.yaml", *service("pages", echo.port), http_route("pages", rule("pages", "/test.Echo")))
        self.folder = folder
        self.gateway = Gateway(folder.path, ports=[80, 443])
        stack.callback(self.gateway.stop)
        self.channel = stack.enter_context(channel(self.gateway.ports[80], HOST))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("grpc"), stack)


def call(site: Site, path: str, request: bytes = b"", **more: Any) -> tuple[bytes, Any]:
    found: tuple[bytes, Any] = site.channel.unary_unary(path).with_call(request, timeout=PATIENCE, **more)
    return found


def failure(site: Site, path: str, **more: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(site, path, **more)
    return caught.value


def metadata(pairs: Any) -> dict[str, str | bytes]:
    return {pair.key: pair.value for pair in pairs}


def test_unary(site: Site):
    answer, done = call(site, "/test.Echo/Unary", b"hello", metadata=(("tag", "one"), ("raw-bin", b"\x00\x01")))
    assert answer == b"hello"
    assert done.code() is Code.OK
    assert {"server": "a", "greeting": "hello"}.items() <= metadata(done.initial_metadata()).items()
    assert metadata(done.trailing_metadata()) == {"parting": "bye", "proof-bin": b"\x00\xff"}
    assert {("tag", "one"), ("raw-bin", b"\x00\x01")} <= set(site.a.metadata)


def test_an_empty_message(site: Site):
    assert call(site, "/test.Echo/Unary")[0] == b""


def test_client_stream(site: Site):
    upload = site.channel.stream_unary("/test.Echo/Upload")
    assert upload((MESSAGE for _ in range(500)), timeout=PATIENCE) == b"500000"


def test_server_stream(site: Site):
    download = site.channel.unary_stream("/test.Echo/Download")
    assert list(download(b"500", timeout=PATIENCE)) == [MESSAGE] * 500


def test_both_directions_in_turns(site: Site):
    """Each message is answered before the next is sent: nothing waits for an end."""
    questions: SimpleQueue[bytes | None] = SimpleQueue()
    answers = site.channel.stream_stream("/test.Echo/Talk")(iter(questions.get, None), timeout=PATIENCE)
    for number in range(50):
        questions.put(b"%d" % number)
        assert next(answers) == b"%d" % number
    questions.put(None)
    assert list(answers) == []


def test_ten_thousand_messages_on_one_stream(site: Site):
    sent = [b"%d" % number for number in range(10_000)]
    assert list(site.channel.stream_stream("/test.Echo/Talk")(iter(sent), timeout=PATIENCE)) == sent


def test_large_messages(site: Site):
    large = bytes(range(256)) * (4 * 4096)
    assert len(large) == 4 << 20
    assert call(site, "/test.Echo/Unary", large)[0] == large
    talk = site.channel.stream_stream("/test.Echo/Talk")
    assert list(talk(iter([large, b"", large]), timeout=PATIENCE)) == [large, b"", large]


def test_many_calls_at_once(site: Site):
    unary = site.channel.unary_unary("/test.Echo/Unary")
    calls = [unary.future(b"%d" % number, timeout=PATIENCE) for number in range(200)]
    assert [one.result() for one in calls] == [b"%d" % number for number in range(200)]


def test_what_the_server_says_of_a_failure_arrives(site: Site):
    error = failure(site, "/test.Echo/Fail")
    assert (error.code(), error.details()) == (Code.FAILED_PRECONDITION, "no: 100 % wrong, Grüße")
    assert metadata(error.trailing_metadata()) == {"why": "because"}
    late = site.channel.unary_stream("/test.Echo/FailLate")(b"", timeout=PATIENCE)
    assert next(late) == b"one"
    with pytest.raises(grpc.RpcError):
        next(late)
    assert (late.code(), late.details()) == (Code.DATA_LOSS, "after one")


def test_a_method_that_the_server_does_not_have(site: Site):
    error = failure(site, "/test.Echo/Other")
    assert error.code() is Code.UNIMPLEMENTED
    assert not error.details().startswith("gateway:")


def reached(site: Site, path: str, **fields: str) -> str | bytes:
    """The name of the server that a call reaches."""
    return metadata(call(site, path, metadata=tuple(fields.items()))[1].initial_metadata())["server"]


def test_headers_and_methods_choose(site: Site):
    assert reached(site, "/test.Echo/Unary", version="two") == "b"
    assert reached(site, "/test.Echo/Unary", version="one") == "a"
    assert reached(site, "/any.Service/Only") == "b"
    assert reached(site, "/test.Echo/Only") == "a"  # a service goes before a method


def test_weights(site: Site):
    counted = Counter(reached(site, "/test.Shared/Unary") for _ in range(80))
    assert 57 <= counted["a"] <= 63, counted


def test_headers_are_edited(site: Site):
    _, done = call(site, "/test.Edited/Unary", metadata=(("set", "client"), ("added", "client"), ("removed", "client")))
    assert metadata(done.initial_metadata())["greeting"] == "changed"
    seen = [(name, value) for name, value in site.a.metadata if name in {"set", "added", "removed"}]
    assert sorted(seen) == [("added", "client"), ("added", "gateway"), ("set", "gateway")]


def test_calls_are_mirrored(site: Site):
    _, done = call(site, "/test.Mirrored/Unary", b"twice", metadata=(("tag", "mirrored"),))
    assert metadata(done.initial_metadata())["server"] == "a"
    wait_until(lambda: ("tag", "mirrored") in site.b.metadata, "the copy arrives")


ERRORS = [
    ("/test.Unknown/Unary", Code.UNIMPLEMENTED, "gateway: no route"),
    ("/test.EchoX/Unary", Code.UNIMPLEMENTED, "gateway: no route"),
    ("/test.Empty/Unary", Code.UNAVAILABLE, "gateway: no endpoints"),
    ("/test.Closed/Unary", Code.UNAVAILABLE, "gateway: upstream refused"),
    ("/test.Absent/Unary", Code.UNAVAILABLE, "gateway: BackendNotFound"),
    ("/test.Nothing/Unary", Code.UNAVAILABLE, "gateway: no weight"),
]


@pytest.mark.parametrize(("path", "code", "details"), ERRORS)
def test_the_gateways_own_errors(site: Site, path: str, code: Any, details: str):
    error = failure(site, path)
    assert (error.code(), error.details()) == (code, details)
    assert call(site, "/test.Echo/Unary", b"on")[0] == b"on"  # the connection goes on


def test_a_host_of_nobody(site: Site):
    with channel(site.gateway.ports[80], "other.test") as other, pytest.raises(grpc.RpcError) as caught:
        other.unary_unary("/test.Shared/Unary")(b"", timeout=PATIENCE)
    assert (caught.value.code(), caught.value.details()) == (Code.UNIMPLEMENTED, "gateway: no route")


def test_what_is_no_call_is_for_the_http_routes(site: Site):
    reply = fetch(site.gateway.ports[80], "/test.Echo/Unary", host=HOST)
    assert reply.json["name"] == "pages"


def test_a_deadline_reaches_the_server_and_the_client(site: Site):
    site.a.cancelled.clear()
    with pytest.raises(grpc.RpcError) as caught:
        site.channel.unary_unary("/test.Echo/Wait")(b"", timeout=1)
    assert caught.value.code() is Code.DEADLINE_EXCEEDED
    assert site.a.time_left is not None
    assert 0 < site.a.time_left < 1.1
    assert site.a.cancelled.wait(PATIENCE)


@pytest.mark.parametrize("deadline", ["1500m", "1500000u", "0n"])
def test_a_client_that_does_not_keep_its_own_deadline(site: Site, deadline: str, tmp_path: Path):
    """grpcio ends a call itself when its time is over; curl waits for what it is told."""
    url = f"http://127.0.0.1:{site.gateway.ports[80]}/test.Echo/Wait"
    fields = ["-H", f"host: {HOST}", "-H", "content-type: application/grpc", "-H", "te: trailers"]
    (tmp_path / "message").write_bytes(bytes(5))  # an empty message
    # An answer that meets the message on its way is a failure to curl: there is time for it, or none is sent.
    message = ["-X", "POST"] if deadline == "0n" else ["--data-binary", f"@{tmp_path / 'message'}"]
    fields += ["-H", f"grpc-timeout: {deadline}", *message]
    answer = curl("--http2-prior-knowledge", "-D", "-", *fields, url)
    assert "HTTP/2 200" in answer
    assert "grpc-status: 4" in answer
    assert any(f"grpc-message: {words}" in answer for words in OVER)


def test_a_deadline_that_ends_a_call_whose_answer_began(site: Site):
    """grpcio keeps no deadline that is set as metadata, so it waits for what it is told."""
    site.a.cancelled.clear()
    stream = site.channel.unary_stream("/test.Echo/WaitLate")(b"", metadata=(("grpc-timeout", "1S"),))
    patience = Timer(PATIENCE, stream.cancel)
    patience.start()
    assert next(stream) == b"one"
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    patience.cancel()
    assert caught.value.code() is Code.DEADLINE_EXCEEDED
    assert caught.value.details() in OVER
    assert site.a.cancelled.wait(PATIENCE)
    assert call(site, "/test.Echo/Unary", b"on")[0] == b"on"  # the connection goes on


def test_a_call_that_is_cancelled_is_cancelled_at_the_server(site: Site):
    site.a.cancelled.clear()
    site.a.waiting.clear()
    waiting = site.channel.unary_unary("/test.Echo/Wait").future(b"", timeout=PATIENCE)
    assert site.a.waiting.wait(PATIENCE)
    waiting.cancel()
    assert site.a.cancelled.wait(PATIENCE)
    site.a.waiting.clear()
    late = site.channel.unary_stream("/test.Echo/WaitLate")(b"", timeout=PATIENCE)
    assert next(late) == b"one"
    site.a.cancelled.clear()
    assert site.a.waiting.wait(PATIENCE)  # grpcio runs no more of a method whose call is over
    late.cancel()
    assert site.a.cancelled.wait(PATIENCE)


def test_a_server_that_goes_is_unavailable(site: Site):
    stream = site.channel.unary_unary("/test.Cut/Wait").future(b"", timeout=PATIENCE)
    assert site.cut.waiting.wait(PATIENCE)
    site.cut.stop()
    assert stream.code() is Code.UNAVAILABLE
    assert failure(site, "/test.Cut/Unary").code() is Code.UNAVAILABLE


def test_over_tls(site: Site):
    trusted = grpc.ssl_channel_credentials(site.certificate)
    with channel(site.gateway.ports[443], HOST, trusted) as secured:
        assert secured.unary_unary("/test.Echo/Unary")(b"secret", timeout=PATIENCE) == b"secret"
        talk = secured.stream_stream("/test.Echo/Talk")
        assert list(talk(iter([MESSAGE] * 100), timeout=PATIENCE)) == [MESSAGE] * 100


def test_a_change_of_routes_reaches_an_open_connection(site: Site):
    assert failure(site, "/test.New/Unary").code() is Code.UNIMPLEMENTED
    site.folder.write("new.yaml", grpc_route("new", to("a", method("test.New")), hostnames=[HOST]))

    def served() -> bool:
        try:
            return call(site, "/test.New/Unary", b"new")[0] == b"new"
        except grpc.RpcError:
            return False

    wait_until(served, "the new route is served")


def test_the_gateway_prints_no_traceback(site: Site):
    assert "Traceback" not in site.gateway.output
    lines = [line for line in site.gateway.lines if '"path":"/test.Echo/Unary"' in line]
    assert any(re.search(r'"route":"GRPCRoute/default/calls","rule":"0"', line) for line in lines)
