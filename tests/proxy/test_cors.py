"""CORS on the traffic path: preflights end at the gateway, responses carry its fields."""

from __future__ import annotations

from gatewayd.routing.snapshot import Cors, Filters, Redirect
from tests.proxy.conversation import GET, OK, Start, message, rule

A = "Origin: https://a.com"
PREFLIGHT = message("OPTIONS / HTTP/1.1", "Host: a", A, "Access-Control-Request-Method: PUT")
CORS = Filters(cors=Cors((b"https://a.com",), methods=(b"PUT",)))
ALLOWED = b"\r\naccess-control-allow-origin: https://a.com"


def test_a_preflight_is_answered_and_not_forwarded(start: Start):
    talk = start(rule(filters=CORS))
    client = talk.client()
    client.sends(PREFLIGHT)
    assert client.takes() == message(
        "HTTP/1.1 204 No Content",
        "date: now",
        "access-control-allow-origin: https://a.com",
        "access-control-allow-methods: PUT",
        "access-control-max-age: 5",
        "vary: origin",
    )
    assert talk.asks == 0
    assert (talk.line["status"], talk.line["reason"]) == (204, "cors_preflight")


def test_a_preflight_of_another_origin_gets_no_field(start: Start):
    talk = start(rule(filters=CORS))
    client = talk.client()
    client.sends(PREFLIGHT.replace(b"a.com", b"b.com"))
    assert client.takes() == message("HTTP/1.1 204 No Content", "date: now", "vary: origin")
    assert talk.asks == 0


def test_an_options_request_that_is_no_preflight_is_forwarded(start: Start):
    talk = start(rule(filters=CORS))
    client = talk.client()
    client.sends(message("OPTIONS / HTTP/1.1", "Host: a", A))
    assert talk.asks == 1


def test_the_backends_fields_are_replaced(start: Start):
    talk = start(rule(filters=CORS))
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", A))
    backend = talk.backend()
    assert b"\r\nOrigin: https://a.com" in backend.takes()
    backend.sends(message("HTTP/1.1 200 OK", "Access-Control-Allow-Origin: *", "content-length: 2", body=b"ok"))
    answer = client.takes()
    assert answer.count(ALLOWED) == 1
    assert b": *" not in answer


def test_a_request_without_origin_is_as_ever(start: Start):
    talk = start(rule(filters=Filters(cors=Cors((b"*",)))))
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(OK)
    assert client.takes() == OK


def test_a_filter_of_a_backend_works_alike(start: Start):
    talk = start(rule(share_filters=CORS))
    client = talk.client()
    client.sends(PREFLIGHT)
    assert ALLOWED in client.takes()
    assert talk.asks == 0


def test_scripts_may_read_the_gateways_own_answers(start: Start):
    """A redirect or an error that a script cannot read looks to it like a broken network."""
    for options, status in (({"endpoints": {"shop": ()}}, b"503"), ({}, b"302")):
        redirect = Redirect() if status == b"302" else None
        talk = start(rule(filters=Filters(cors=CORS.cors, redirect=redirect)), **options)
        client = talk.client()
        client.sends(message("GET / HTTP/1.1", "Host: a", A))
        answer = client.takes()
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.count(ALLOWED) == 1
