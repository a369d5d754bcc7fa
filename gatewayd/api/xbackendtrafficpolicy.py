"""XBackendTrafficPolicy (gateway.networking.x-k8s.io/v1alpha1, experimental)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import Duration
from gatewayd.api.persistence import SessionPersistence
from gatewayd.api.record import Record
from gatewayd.api.references import LocalObjectReference


class RetryBudget(Record, frozen=True, kw_only=True, gc=False):
    """The share of requests, in percent over `interval`, that may be retries."""

    percent: Annotated[int, Meta(ge=0, le=100)] = 20
    interval: Duration = "10s"


class RequestRate(Record, frozen=True, kw_only=True, gc=False):
    """`count` requests in `interval`."""

    count: Annotated[int, Meta(ge=1, le=1000000)] | None = None
    interval: Duration | None = None


class RetryConstraint(Record, frozen=True, kw_only=True, gc=False):
    """The budget, and the rate of retries below which it does not count (GEP-3388)."""

    budget: RetryBudget = RetryBudget()
    min_retry_rate: RequestRate = RequestRate(count=10, interval="1s")


class XBackendTrafficPolicySpec(Record, frozen=True, kw_only=True, gc=False):
    """Policy for all traffic to the targets."""

    target_refs: Annotated[
        tuple[LocalObjectReference, ...],
        Meta(min_length=1, max_length=16, extra={"keys": ("group", "kind", "name")}),
    ]
    retry_constraint: RetryConstraint | None = None
    session_persistence: SessionPersistence | None = None


class XBackendTrafficPolicy(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.x-k8s.io/v1alpha1"
    kind: str = "XBackendTrafficPolicy"
    metadata: ObjectMeta
    spec: XBackendTrafficPolicySpec
