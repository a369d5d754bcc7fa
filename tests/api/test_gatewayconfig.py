from __future__ import annotations

import msgspec

from gatewayd.api.documents import load
from gatewayd.api.gatewayconfig import SETTINGS, GatewayConfig, GatewayConfigSpec
from gatewayd.routing.snapshot import Settings
from tests.decoding import decode_all


def config(spec: str) -> GatewayConfig:
    text = f"apiVersion: gatewayd.dev/v1alpha1\nkind: GatewayConfig\nmetadata: {{name: c}}\nspec: {spec}\n"
    [item], problems = decode_all(load(text.encode(), "f")[0])
    assert not problems
    assert isinstance(item.resource, GatewayConfig)
    return item.resource


def test_every_setting_has_exactly_one_field_and_every_field_a_setting():
    assert {*SETTINGS, "trusted_proxies", "session_key"} == set(Settings.__struct_fields__)
    spec = GatewayConfigSpec()
    fields = {
        (section, attribute)
        for section in ("limits", "timeouts", "upstream")
        for attribute in getattr(spec, section).__struct_fields__
    }
    assert {*fields, ("access_log", "enabled")} == set(SETTINGS.values())
    assert len(set(SETTINGS.values())) == len(SETTINGS)


def test_an_empty_config_changes_nothing():
    assert config("{}").to_settings_fields() == {}
    assert config("{limits: {}, timeouts: {}, upstream: {}}").to_settings_fields() == {}


def test_values_in_bytes_and_seconds():
    fields = config(
        "{limits: {head: 128Ki, fields: 7, trailers: 0}, timeouts: {idle: 2m, bodyGrace: 1s500ms, drain: 0s},"
        " upstream: {connections: 3}, accessLog: {enabled: false}, trustedProxies: [10.0.0.0/8, 192.0.2.1]}"
    ).to_settings_fields()
    assert fields == {
        "head_bytes": 131072,
        "fields": 7,
        "trailer_bytes": 0,
        "idle_timeout": 120.0,
        "body_grace": 1.5,
        "drain_timeout": 0.0,
        "upstream_connections": 3,
        "access_log": False,
        "trusted_proxies": ("10.0.0.0/8", "192.0.2.1/32"),
    }
    settings = msgspec.convert(fields, Settings)
    assert (settings.head_bytes, settings.idle_timeout, settings.access_log) == (131072, 120.0, False)


def test_no_trusted_proxies_is_a_setting_of_its_own():
    assert config("{trustedProxies: []}").to_settings_fields() == {"trusted_proxies": ()}
