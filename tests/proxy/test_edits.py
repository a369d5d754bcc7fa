"""RequestRedirect and URLRewrite through whole exchanges (Gateway API, HTTPRoute filters; GEP-726)."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import Filters, PathEdit, Redirect
from tests.proxy.conversation import GET, Conversation, Start, message, rule


def redirected(talk: Conversation, target: str = "/a?b=c", host: str = "example.org:81", method: str = "GET") -> str:
    """The Location that the gateway answers with."""
    sni = "default/web/http" if talk.port.scheme == b"https" else None
    client = talk.client(sni_listener=sni)
    client.transport.protocol.data_received(message(f"{method} {target} HTTP/1.1", f"Host: {host}"))
    answer = client.takes().decode()
    assert answer.startswith("HTTP/1.1 30")
    (location,) = [line[10:] for line in answer.split("\r\n") if line.startswith("location: ")]
    return location


@pytest.mark.parametrize(
    ("number", "scheme", "port", "start_of_location"),
    [
        (80, None, None, "http://example.org/"),
        (80, None, 80, "http://example.org/"),
        (80, None, 8080, "http://example.org:8080/"),
        (80, b"https", None, "https://example.org/"),
        (80, b"https", 443, "https://example.org/"),
        (80, b"https", 8443, "https://example.org:8443/"),
        (8080, None, None, "http://example.org:8080/"),
        (8080, None, 80, "http://example.org/"),
        (8080, b"https", None, "https://example.org/"),
        (443, None, None, "https://example.org/"),
        (443, None, 443, "https://example.org/"),
        (443, None, 8443, "https://example.org:8443/"),
        (443, b"http", None, "http://example.org/"),
        (443, b"http", 80, "http://example.org/"),
        (443, b"http", 8080, "http://example.org:8080/"),
        (8443, None, None, "https://example.org:8443/"),
        (80, b"http", 443, "http://example.org:443/"),
    ],
)
def test_scheme_and_port(start: Start, number: int, scheme: bytes | None, port: int | None, start_of_location: str):
    transport = "https" if number in (443, 8443) else "http"
    talk = start(
        rule(backend="", filters=Filters(redirect=Redirect(scheme=scheme, port=port))),
        number=number,
        transport=transport,
    )
    assert redirected(talk) == f"{start_of_location}a?b=c"


PREFIXES = [
    ("/foo/bar", b"/foo", b"/xyz", "/xyz/bar"),
    ("/foo/bar", b"/foo", b"/xyz/", "/xyz/bar"),
    ("/foo/bar", b"/foo/", b"/xyz", "/xyz/bar"),
    ("/foo/bar", b"/foo/", b"/xyz/", "/xyz/bar"),
    ("/foo", b"/foo", b"/xyz", "/xyz"),
    ("/foo/", b"/foo", b"/xyz", "/xyz/"),
    ("/foo/bar", b"/foo", b"", "/bar"),
    ("/foo/bar", b"/foo", b"/", "/bar"),
    ("/foo/", b"/foo", b"", "/"),
    ("/foo/", b"/foo", b"/", "/"),
    ("/foo", b"/foo", b"", "/"),
    ("/foo", b"/foo", b"/", "/"),
    ("/prefix/one/two", b"/prefix/one", b"/one", "/one/two"),
    ("/bar", b"/", b"/xyz", "/xyz/bar"),
    ("/", b"/", b"/xyz", "/xyz/"),
    ("/foo//bar", b"/foo", b"/xyz", "/xyz//bar"),
    ("/foo/a%2Fb", b"/foo", b"/xyz", "/xyz/a%2Fb"),
    ("/foo/./x/../bar", b"/foo", b"/xyz", "/xyz/bar"),
]


@pytest.mark.parametrize(("path", "prefix", "value", "result"), PREFIXES)
def test_a_prefix_is_rewritten(start: Start, path: str, prefix: bytes, value: bytes, result: str):
    talk = start(rule(filters=Filters(path=PathEdit(value=value, prefix=prefix))))
    client = talk.client()
    client.sends(message(f"GET {path}?q=/foo HTTP/1.1", "Host: a"))
    assert talk.backend().takes().startswith(f"GET {result}?q=/foo HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(("path", "prefix", "value", "result"), PREFIXES)
def test_a_prefix_is_redirected(start: Start, path: str, prefix: bytes, value: bytes, result: str):
    talk = start(rule(backend="", filters=Filters(redirect=Redirect(path=PathEdit(value=value, prefix=prefix)))))
    assert redirected(talk, path + "?q=/foo") == f"http://example.org{result}?q=/foo"


@pytest.mark.parametrize(("value", "result"), [(b"/new", "/new"), (b"/", "/"), (b"", "/"), (b"/new/", "/new/")])
def test_a_full_path_is_rewritten_and_redirected(start: Start, value: bytes, result: str):
    talk = start(rule(filters=Filters(path=PathEdit(value=value))))
    client = talk.client()
    client.sends(message("GET /old/path?q HTTP/1.1", "Host: a"))
    assert talk.backend().takes().startswith(f"GET {result}?q HTTP/1.1\r\n".encode())
    talk = start(rule(backend="", filters=Filters(redirect=Redirect(path=PathEdit(value=value)))))
    assert redirected(talk, "/old/path?q") == f"http://example.org{result}?q"


def test_a_host_is_rewritten(start: Start):
    talk = start(rule(filters=Filters(hostname=b"inner.example")))
    client = talk.client()
    client.sends(GET)
    sent = talk.backend().takes_all()
    assert b"\r\nhost: inner.example\r\n" in sent
    assert b"\r\nx-forwarded-host: a\r\n" in sent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_has_its_status_and_keeps_the_connection(start: Start, status: int):
    talk = start(rule(backend="", filters=Filters(redirect=Redirect(status=status, hostname=b"other.example"))))
    client = talk.client()
    client.sends(GET)
    answer = client.takes()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nlocation: http://other.example/\r\n" in answer
    assert (client.state, talk.asks, talk.line["reason"]) == ("open", 0, "redirect")


def test_a_redirect_of_head_has_no_body(start: Start):
    talk = start(rule(backend="", filters=Filters(redirect=Redirect())))
    client = talk.client()
    client.sends(message("HEAD / HTTP/1.1", "Host: a"))
    assert client.takes().endswith(b"\r\n\r\n")


def test_a_redirect_on_a_backend(start: Start):
    talk = start(rule(share_filters=Filters(redirect=Redirect(hostname=b"other"))))
    assert redirected(talk) == "http://other/a?b=c"


@pytest.mark.parametrize("target", ["/%0d%0aSet-Cookie:%20x", "/a?b=%0D%0Ac", "//evil.example/x"])
def test_nothing_of_a_request_splits_the_response(start: Start, target: str):
    """Escapes stay escapes in a Location, so no field can be put in."""
    talk = start(rule(backend="", filters=Filters(redirect=Redirect(scheme=b"https"))))
    location = redirected(talk, target)
    assert location.lower() == f"https://example.org{target}".lower()


def test_an_address_as_host(start: Start):
    talk = start(rule(backend="", filters=Filters(redirect=Redirect(port=8443))))
    assert redirected(talk, host="[2001:DB8::1]:80") == "http://[2001:db8::1]:8443/a?b=c"
