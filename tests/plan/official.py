"""The official manifests of the conformance suite, where they lie beside the project, and their plans."""

from __future__ import annotations

from functools import cache
from typing import Any

from gatewayd.api.objects import Objects
from gatewayd.plan.build import Options, Planner, Result
from tests.plan.secrets import good_secret
from tests.plan.yaml_objects import OUR_CLASS, SHARED, parse

FOLDER = SHARED / "conformance"
INFRA = "gateway-conformance-infra"
WEB = "gateway-conformance-web-backend"
PLACEHOLDERS = {
    "{GATEWAY_CLASS_NAME}": "gatewayd",
    "{GATEWAY_CONTROLLER_NAME}": "gatewayd.dev/gateway-controller",
    "PLACEHOLDER_USABLE_ADDRS": "127.0.0.1",
    "PLACEHOLDER_UNUSABLE_ADDRS": "192.0.2.1",
}
OPTIONS = Options(address_pool="127.64.0.0/16", generation=1)

BOTH = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"
HEALTHY = f"{BOTH} Programmed=True/Programmed"
BROKEN_REF = "Accepted=True/Accepted ResolvedRefs=False/InvalidCertificateRef Programmed=False/Invalid"
NO_GRANT = "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted Programmed=False/Invalid"
READY = "Accepted=True/Accepted Programmed=True/Programmed"


@cache
def base() -> list[Any]:
    """What the official suite sets up before its tests."""
    text = (FOLDER / "base" / "manifests.yaml").read_text()
    secrets = good_secret("tls-validity-checks-certificate", INFRA, "*", "*.org", "*.wildcard.org")
    secrets += good_secret("certificate", WEB, "example.org")
    secrets += good_secret("tls-terminate-checks-certificate", INFRA, "tls.example.com")
    return parse(OUR_CLASS + text.replace("{GATEWAY_CLASS_NAME}", "gatewayd")) + parse(secrets)


@cache
def planned(name: str) -> Result:
    """The plan of the base and of one test's manifests."""
    text = (FOLDER / "tests" / f"{name}.yaml").read_text()
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return Planner().plan(Objects(base() + parse(text)), OPTIONS)
