"""GatewayConfig -> Settings, found through parametersRef of a GatewayClass and of a Gateway."""

from __future__ import annotations

from typing import Any, NamedTuple

from gatewayd.api.gatewayconfig import GatewayConfig
from gatewayd.api.objects import Object
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.parts import resource
from gatewayd.plan.protocols import OUR_GROUP
from gatewayd.plan.reads import Reads
from gatewayd.routing.snapshot import Settings

DEFAULT = "default"


class Parameters(NamedTuple):
    """What a parametersRef leads to. `foreign` when it belongs to another controller and is not read."""

    config: Object | None = None
    failure: Verdict | None = None
    foreign: bool = False


def find(ref: Any, namespace: str, ours: bool, reads: Reads) -> Parameters:
    """Follow a parametersRef. `ours` when the class names this controller, so that foreign parameters are a mistake.

    A cluster's own YAML may carry the parameters of the controller that it was written for: those are left alone.
    """
    if ref is None:
        return Parameters()
    if (ref.group, ref.kind) != (OUR_GROUP, "GatewayConfig"):
        message = f"parameters of kind {ref.group}/{ref.kind} are not known; use {OUR_GROUP}/GatewayConfig"
        return Parameters(failure=Verdict("InvalidParameters", message)) if ours else Parameters(foreign=True)
    place = getattr(ref, "namespace", None) or namespace
    config = reads.get("GatewayConfig", place, ref.name)
    if config is None:
        return Parameters(failure=Verdict("InvalidParameters", f"GatewayConfig {place}/{ref.name} does not exist"))
    return Parameters(config)


def combine(outer: Object | None, inner: Object | None) -> tuple[str, Settings]:
    """The key and the settings of a Gateway: its own config wins, field by field, over that of its class."""
    configs = [item for item in (outer, inner) if item is not None]
    if not configs:
        return DEFAULT, Settings()
    fields: dict[str, Any] = {}
    for item in configs:
        config: GatewayConfig = resource(item)
        fields |= config.to_settings_fields()
    return "+".join(f"{item.namespace}/{item.name}" for item in configs), Settings(**fields)
