"""`gatewayd explain` for connections that go by their server name, not by a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewayd.cli import main
from tests.cli.test_explain import CONFIG, explain, one
from tests.manifests import Folder, gateway, gateway_class, service, tls, tls_route

PORT = CONFIG / "tls-passthrough"


@pytest.mark.parametrize(
    ("request_", "route", "reason"),
    [
        ("tls://primary.db.example.com", "TLSRoute/default/primary", "passed_through"),
        ("tls://PRIMARY.db.example.com:443", "TLSRoute/default/primary", "passed_through"),
        ("GET https://x.db.example.com/y", "TLSRoute/default/replicas", "passed_through"),  # whatever is said within
        ("tls://broker.example.com", "TLSRoute/default/broker", "decrypted"),
        ("tls://old.db.example.com", "TLSRoute/default/retired", "closed"),
        ("tls://shop.example.com", None, "speaks_http"),
        ("tls://nobody.example.com", None, "unrecognized_name"),
        ("https://shop.example.com/", "HTTPRoute/default/shop", "forwarded"),
    ],
)
def test_answers(capsys: pytest.CaptureFixture[str], request_: str, route: str | None, reason: str):
    found = one(explain(capsys, PORT, request_))
    assert (found["rule"] and found["rule"]["route"], found["answer"]["reason"]) == (route, reason)


def test_backends_and_who_lost(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, PORT, "tls://primary.db.example.com"))
    (backend,) = found["backends"]
    assert (backend["backend"], backend["endpoints"]) == ("default/primary:5432", ["127.0.0.1:9001"])
    lost = [(one["route"], one["step"]) for one in found["candidates"] if one["outcome"] == "lost"]
    assert lost == [("TLSRoute/default/replicas", "hostname")]
    file, _, line = found["rule"]["source"].rpartition(":")
    assert Path(file).read_text().splitlines()[int(line) - 1].strip().startswith("- backendRefs")


def test_text(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", str(PORT), "--request", "tls://primary.db.example.com"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("request   tls://primary.db.example.com\nport      *:443, https\n")
    assert "matches server name primary.db.example.com" in said
    assert "the backend's: it gets the bytes of the client as they come" in said


def served(folder: Path) -> Path:
    files = Folder(folder)
    only = tls("only", 443, hostname="*.example.com")
    route = tls_route("a", "missing", "a.example.com")
    late = {**tls_route("late", "a", "a.example.com"), "metadata": {"name": "b"}}
    foreign = tls_route("foreign", "a", "a.example.org")
    files.write("all.yaml", gateway_class(), gateway(only), route, late, foreign, *service("a", 9001))
    return folder


@pytest.mark.parametrize(
    ("name", "reason"), [("a.example.com", "closed"), ("b.example.com", "closed"), ("a.example.org", "unknown_name")]
)
def test_where_nothing_is_decrypted_connections_are_closed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, reason: str
):
    assert one(explain(capsys, served(tmp_path), f"tls://{name}"))["answer"]["reason"] == reason


def test_the_failure_of_a_backend_and_the_order_of_names(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    found = one(explain(capsys, served(tmp_path), "tls://a.example.com"))
    assert found["backends"][0]["answer"]["reason"] == "BackendNotFound"
    assert [(one["route"], one["outcome"], one["step"]) for one in found["candidates"]] == [
        ("TLSRoute/default/a", "taken", ""),
        ("TLSRoute/default/b", "lost", "name"),
    ]


def test_a_route_that_is_not_attached_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    notes = explain(capsys, served(tmp_path), "tls://a.example.org")["notes"]
    assert any("TLSRoute default/foreign" in note and "NoMatchingListenerHostname" in note for note in notes)
