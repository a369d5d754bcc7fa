from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatewayd.api.core import ConfigMap, Secret
from gatewayd.api.decode import KINDS, decode, key_of
from gatewayd.api.documents import load
from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.api.shape import shape_of
from tests.decoding import decode_all

VALID = Path(__file__).parent / "cases" / "valid" / "all-kinds.yaml"


def read(text: str) -> tuple[list[Object], list[Problem]]:
    documents, problems = load(text.encode(), "f.yaml")
    assert not problems, [str(each) for each in problems]
    return decode_all(documents)


def one(text: str) -> Any:
    """The typed resource of a text that must have no problems."""
    [item], problems = read(text)
    assert not problems, [str(each) for each in problems]
    return item.resource


def wrong(text: str) -> dict[str, Problem]:
    """The problems by field."""
    _, problems = read(text)
    return {each.field: each for each in problems}


def http(rules: str, rest: str = "") -> str:
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
    return f"{head}spec:\n  rules: {rules}\n{rest}"


def test_every_kind_with_all_its_fields_loads():
    items, problems = read(VALID.read_text())
    assert [str(each) for each in problems] == []
    assert {(item.group, item.kind) for item in items} == set(KINDS)


def test_the_valid_cases_leave_no_field_out():
    """So that none is mistyped in its class. (`grpc` excludes `http`, and two are of the server.)"""
    written = set()
    documents, _ = load(VALID.read_bytes(), "f")
    stack: list[Any] = [document.value for document in documents]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            written |= set(value)
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    declared = {name for record in records() for name in record.__struct_encode_fields__}
    assert declared - written == {"deletionTimestamp", "resourceVersion", "grpc"}


def records() -> set[Any]:
    found: set[Any] = set()
    stack: list[Any] = [record for record, _ in KINDS.values()]
    while stack:
        record = stack.pop()
        if record not in found:
            found.add(record)
            for field in msgspec.structs.fields(record):
                stack += [each for each in nested(field.type) if each not in found]
    return found


def nested(kind: Any) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [each for part in getattr(kind, "__args__", ()) for each in nested(part)]


def test_defaults_of_the_crds():
    route = one(http("[{backendRefs: [{name: a, port: 80}]}]"))
    [rule] = route.spec.rules
    assert [(each.path.type, each.path.value) for each in rule.matches] == [("PathPrefix", "/")]
    [backend] = rule.backend_refs
    assert (backend.group, backend.kind, backend.weight, backend.namespace) == ("", "Service", 1, None)
    assert (route.spec.hostnames, route.spec.parent_refs, rule.filters, rule.timeouts) == ((), (), (), None)


def test_a_route_without_rules_takes_everything():
    route = one("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {}\n")
    assert len(route.spec.rules) == 1
    assert route.spec.rules[0].backend_refs == ()
    assert route.spec.rules[0].matches[0].path.value == "/"


def test_an_empty_list_of_matches_is_not_the_default():
    assert one(http("[{matches: []}]")).spec.rules[0].matches == ()


def test_defaults_of_a_gateway():
    gateway = one(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
        "spec:\n  gatewayClassName: c\n"
        "  listeners: [{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: x}]}}]\n"
    )
    [listener] = gateway.spec.listeners
    assert listener.allowed_routes.namespaces.from_ == "Same"
    assert listener.allowed_routes.kinds is None
    assert listener.hostname is None
    assert listener.tls.mode == "Terminate"
    assert (listener.tls.certificate_refs[0].kind, listener.tls.certificate_refs[0].group) == ("Secret", "")
    assert gateway.spec.allowed_listeners is None


def test_defaults_of_a_retry_budget_come_with_the_constraint_only():
    text = "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {name: p}\nspec:\n"
    targets = "  targetRefs: [{group: '', kind: Service, name: a}]\n"
    assert one(text + targets).spec.retry_constraint is None
    constraint = one(text + targets + "  retryConstraint: {}\n").spec.retry_constraint
    assert (constraint.budget.percent, constraint.budget.interval) == (20, "10s")
    assert (constraint.min_retry_rate.count, constraint.min_retry_rate.interval) == (10, "1s")


def test_null_is_the_default_where_there_is_one_and_else_an_error():
    assert len(one(http("\n")).spec.rules) == 1
    assert "must be a list, not null" in wrong(http("[{filters: }]"))["spec.rules[0].filters"].message
    assert one(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: }\nspec: {ports: [{port: 80, name: }]}"
    ).spec.ports


def test_matches_of_all_rules_together():
    rule = "{matches: [" + ",".join(f"{{path: {{value: /{index}}}}}" for index in range(33)) + "]}"
    problems = wrong(http(f"[{rule}, {rule}, {rule}, {rule}]"))
    assert list(problems) == ["spec.rules[3]"]
    assert "must not exceed 128" in problems["spec.rules[3]"].message
    assert not wrong(http(f"[{rule}, {rule}, {rule}]"))


TEXTS = [
    ("no", "no"),
    ("on", "on"),
    ("012", "012"),
    ("1e3", "1e3"),
    ("12:30:45", "12:30:45"),
    ("1.10", "1.10"),
    ("'1'", "1"),
]


@pytest.mark.parametrize(("written", "value"), TEXTS)
def test_a_text_field_takes_what_was_written(written: str, value: str):
    config = one(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: {written}}}\n")
    assert isinstance(config, ConfigMap)
    assert config.data == {"a": value}
    assert type(config.data["a"]) is str


@pytest.mark.parametrize(("written", "hint"), [("123", '"123"'), ("true", '"true"'), ("-1", '"-1"')])
def test_a_text_field_refuses_numbers_and_booleans_with_a_hint(written: str, hint: str):
    problem = wrong(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  a: {written}\n")["data.a"]
    assert (problem.line, problem.severity) == (5, "error")
    assert hint in problem.hint


@pytest.mark.parametrize(("written", "value"), [("true", True), ("yes", True), ("Off", False), ("FALSE", False)])
def test_a_boolean_field_takes_the_words_of_yaml(written: str, value: bool):
    assert one(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\nimmutable: {written}\n").immutable is value


@pytest.mark.parametrize("written", ["'true'", "'yes'", "1", "y", "null-ish"])
def test_a_boolean_field_refuses_other_values(written: str):
    assert "immutable" in wrong(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\nimmutable: {written}\n")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("'80'", "80"),
        ("080", "80"),
        ("80.5", ""),
        ("true", ""),
        ("0x50", ""),
        ("[80]", ""),
        ("99999999999999999999", ""),
    ],
)
def test_a_port_is_a_plain_number(written: str, words: str):
    problem = wrong(http(f"[{{backendRefs: [{{name: a, port: {written}}}]}}]"))["spec.rules[0].backendRefs[0].port"]
    assert words in problem.hint


def test_secrets_are_decoded_and_merged():
    secret = one(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: YQ==, b: Yg==}\nstringData: {b: x, c: é}\n"
    )
    assert isinstance(secret, Secret)
    assert secret.data == {"a": b"a", "b": b"x", "c": "é".encode()}
    assert secret.type == "Opaque"


UNKNOWN = [
    ("spec:\n  hostname: [a.example.com]", "spec.hostname", 5, "did you mean `hostnames`?"),
    ("spec:\n  rules:\n  - matchs: []", "spec.rules[0].matchs", 6, "did you mean `matches`?"),
    ("spec:\n  rules:\n  - backendrefs: []", "spec.rules[0].backendrefs", 6, "did you mean `backendRefs`?"),
    ("spec: {}\nspecs: {}", "specs", 5, "did you mean `spec`?"),
    (
        "spec:\n  rules:\n  - sessionPersistence: {sessionName: a, cookie: {}}",
        "spec.rules[0].sessionPersistence.sessionName",
        6,
        "write `cookie: {name: ...}`, or `header: {name: ...}` for type Header",
    ),
    ("spec:\n  colour: red", "spec.colour", 5, "known here: hostnames, parentRefs, rules, useDefaultGateways"),
]


@pytest.mark.parametrize(("text", "field", "line", "hint"), UNKNOWN)
def test_unknown_fields_are_warnings_with_a_guess(text: str, field: str, line: int, hint: str):
    items, [problem] = read(
        f"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\n{text}\n"
    )
    assert len(items) == 1
    assert (problem.field, problem.line, problem.severity, problem.hint) == (field, line, "warning", hint)


def test_unknown_kinds_are_reported_once_and_set_up_of_a_cluster_never():
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\n---\n"
    )
    text += "apiVersion: networking.istio.io/v1\nkind: Gateway\n---\n"
    text += "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n---\n"
    text += "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\n"
    items, problems = read(text)
    assert items == []
    assert [(each.object, each.severity, each.line) for each in problems] == [
        ("Deployment default/a", "warning", 2),
        ("Gateway default/(no name)", "warning", 9),
    ]
    assert "apiVersion: gateway.networking.k8s.io/v1" in problems[1].hint


def test_lists_are_expanded_with_their_own_lines():
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n"
    text += "- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Namespace\n"
    text += "    metadata:\n      name: B\n- 7\n"
    items, problems = read(text)
    assert [(item.key, item.line) for item in items] == [("Namespace//a", 4)]
    assert {(each.field, each.line) for each in problems} == {
        ("metadata.name", 13),
        ("apiVersion", 14),
        ("kind", 14),
    }


def test_all_served_versions_decode_to_the_same_record():
    for (group, kind), (record, versions) in KINDS.items():
        for version in versions:
            document = load(f"apiVersion: {group}/{version}\nkind: {kind}\n".encode().replace(b" /", b" "), "f")[0][0]
            _, problems = decode(document)
            assert problems
            assert all(each.field not in {"apiVersion", "kind"} for each in problems)
        assert shape_of(record) is shape_of(record)


def test_names_of_objects():
    items, _ = read(VALID.read_text())
    index = Objects(items)
    assert len(index) == len(items)
    assert index.get("Namespace", "", "shop") is items[0]
    assert index.of("TLSRoute") == tuple(item for item in items if item.kind == "TLSRoute")
    assert index.of("Nothing") == ()
    assert index.get("Gateway", "default", "main") is None
    gateway = index.get("Gateway", "shop", "main")
    assert gateway is not None
    assert (gateway.key, gateway.title) == ("Gateway/shop/main", "Gateway shop/main")
    assert gateway.source(("spec", "listeners", 1)) == f"f.yaml:{gateway.line_of(('spec', 'listeners', 1))}"
    assert all(key_of(item.document) == item.key for item in items)


def test_a_namespaced_object_without_namespace_stands_in_default():
    [item], _ = read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
    assert item.key == "ConfigMap/default/c"


def test_the_second_object_of_a_key_is_refused():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: first}\n---\n"
    items, _ = read(text + text.replace("first", "second"))
    index = Objects(items)
    assert index.of("ConfigMap") == (items[0],)
    [problem] = index.problems
    assert (problem.line, problem.object, problem.severity) == (6, "ConfigMap default/c", "error")
    assert "f.yaml:1" in problem.message


def test_problems_read_well():
    [problem] = wrong(http("[{matches: [{path: {type: Prefix, value: /}}]}]")).values()
    assert str(problem) == (
        "f.yaml:5: HTTPRoute default/r: spec.rules[0].matches[0].path.type: "
        "must be one of Exact, PathPrefix, RegularExpression, not `Prefix`; did you mean `PathPrefix`?"
    )


def test_a_problem_cannot_forge_a_line_of_output():
    _, problems = read(
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "a\\nb", x: 1}\ndata: {"\\e[31m": "\\n", a: [1]}\n'
    )
    assert problems
    assert all(str(each).isprintable() for each in problems)


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("timeouts: {idle: 5}", "the number 5", "for example `10s` or `1m30s`"),  # "5" would be no duration either
        ("timeouts: {idle: true}", "the boolean true", "for example `10s` or `1m30s`"),
    ],
)
def test_the_advice_for_a_number_in_place_of_a_text_leads_to_a_valid_value(field: str, value: str, hint: str):
    text = f"apiVersion: gatewayd.dev/v1alpha1\nkind: GatewayConfig\nmetadata: {{name: c}}\nspec: {{{field}}}\n"
    (found,) = wrong(text).values()
    assert (found.message, found.hint) == (f"must be text, not {value}", hint)
    (found,) = wrong(http("[{matches: [{headers: [{name: a, value: 1}]}]}]")).values()
    assert found.hint == 'quote it: "1"'
