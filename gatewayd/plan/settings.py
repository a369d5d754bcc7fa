"""GatewayConfig -> Settings, found through parametersRef of a GatewayClass and of a Gateway."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from gatewayd.api.gatewayconfig import GatewayConfig
from gatewayd.api.objects import Object
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.parts import resource
from gatewayd.plan.protocols import OUR_GROUP
from gatewayd.plan.reads import Reads
from gatewayd.routing.snapshot import Settings

DEFAULT = "default"
KEY_BYTES = 16  # the least length of a key that nobody can guess


class Parameters(NamedTuple):
    """What a parametersRef leads to, with the key of sessions if it names one. `foreign` when it belongs to another
    controller and is not read.
    """

    config: Object | None = None
    failure: Verdict | None = None
    foreign: bool = False
    session_key: bytes = b""


def find(ref: Any, namespace: str, ours: bool, reads: Reads) -> Parameters:
    """Follow a parametersRef. `ours` when the class names this controller, so that foreign parameters are a mistake.

    A cluster's own YAML may carry the parameters of the controller that it was written for: those are left alone.
    """
    if ref is None:
        return Parameters()
    if (ref.group, ref.kind) != (OUR_GROUP, "GatewayConfig"):
        kind = f"{ref.group}/{ref.kind}" if ref.group else ref.kind
        message = f"parameters of kind {kind} are not known; use {OUR_GROUP}/GatewayConfig"
        mistaken = ours or ref.group == OUR_GROUP
        return Parameters(failure=Verdict("InvalidParameters", message)) if mistaken else Parameters(foreign=True)
    place = getattr(ref, "namespace", None) or namespace
    config = reads.get("GatewayConfig", place, ref.name)
    if config is None:
        return Parameters(failure=Verdict("InvalidParameters", f"GatewayConfig {place}/{ref.name} does not exist"))
    return _with_key(config, reads)


def _with_key(item: Object, reads: Reads) -> Parameters:
    """Follow `sessions.keySecretRef`. Without the key that is asked for nothing is served: tokens that anybody can make
    are not what its author wants.
    """
    config: GatewayConfig = resource(item)
    ref = config.spec.sessions.key_secret_ref
    if ref is None:
        return Parameters(item)
    place = f"Secret {item.namespace}/{ref.name} of spec.sessions.keySecretRef of {item.title}"
    secret = reads.get("Secret", item.namespace, ref.name)
    if secret is None:
        return Parameters(failure=Verdict("InvalidParameters", f"{place} does not exist"))
    key = resource(secret).data.get("key", b"")
    if len(key) < KEY_BYTES:
        message = f"{place} has no value `key` of {KEY_BYTES} bytes or more"
        return Parameters(failure=Verdict("InvalidParameters", message))
    return Parameters(item, session_key=blake2b(key, digest_size=32, person=b"gatewayd session").digest())


def combine(outer: Parameters, inner: Parameters) -> tuple[str, Settings]:
    """The key and the settings of a Gateway: its own config wins, field by field, over that of its class."""
    configs = [one.config for one in (outer, inner) if one.config is not None]
    if not configs:
        return DEFAULT, Settings()
    fields: dict[str, Any] = {"session_key": inner.session_key or outer.session_key}
    for item in configs:
        config: GatewayConfig = resource(item)
        fields |= config.to_settings_fields()
    return "+".join(f"{item.namespace}/{item.name}" for item in configs), Settings(**fields)
