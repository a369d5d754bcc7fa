"""GatewayConfig (gatewayd.dev/v1alpha1): limits, timeouts and logging of a Gateway or of all Gateways of a class.

Found through `parametersRef` of a GatewayClass or through `infrastructure.parametersRef` of a Gateway. A field that is
absent keeps the gateway's default; 0 and `0s` mean no limit, except in `bodyGrace` and `drain`, where they are no time
at all. Sizes are Kubernetes quantities (`64Ki`) or bytes.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import Duration, ObjectName
from gatewayd.api.quantity import seconds
from gatewayd.api.record import Record

SIZE = {"form": "quantity", "hint": "a number of bytes, or a quantity such as `64Ki`"}
Head = Annotated[int, Meta(ge=1024, le=1 << 20, extra=SIZE)]
Line = Annotated[int, Meta(ge=256, le=1 << 20, extra=SIZE)]
Trailers = Annotated[int, Meta(ge=0, le=1 << 20, extra=SIZE)]
Buffer = Annotated[int, Meta(ge=4096, le=1 << 26, extra=SIZE)]
Rate = Annotated[int, Meta(ge=0, le=1 << 30, extra=SIZE)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
CIDR = Annotated[
    str, Meta(min_length=1, max_length=49, extra={"form": "cidr", "hint": "for example `10.0.0.0/8` or `fd00::/8`"})
]


class Limits(Record, frozen=True, kw_only=True, gc=False):
    """What a client may send. `min_body_rate` is in bytes a second, counted after `timeouts.bodyGrace`."""

    head: Head | None = None
    request_line: Line | None = None
    fields: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    trailers: Trailers | None = None
    buffer: Buffer | None = None
    min_body_rate: Rate | None = None


class Timeouts(Record, frozen=True, kw_only=True, gc=False):
    """How long to wait: for a client, for a backend, and at the end."""

    head: Duration | None = None
    tls_handshake: Duration | None = None
    idle: Duration | None = None
    connection_lifetime: Duration | None = None
    body_read: Duration | None = None
    body_grace: Duration | None = None
    write: Duration | None = None
    connect: Duration | None = None
    first_byte: Duration | None = None
    authorization: Duration | None = None
    stream_idle: Duration | None = None
    tunnel_idle: Duration | None = None
    half_closed: Duration | None = None
    drain: Duration | None = None


class Upstream(Record, frozen=True, kw_only=True, gc=False):
    """Connections to a backend, of one worker; the idle ones are counted for each endpoint."""

    connections: Count | None = None
    idle_connections: Count | None = None
    idle_timeout: Duration | None = None
    pending: Count | None = None


class AccessLogConfig(Record, frozen=True, kw_only=True, gc=False):
    """One line for each request, or none."""

    enabled: bool = True


class SecretName(Record, frozen=True, kw_only=True, gc=False):
    """A Secret of the GatewayConfig's own namespace."""

    name: ObjectName


class Sessions(Record, frozen=True, kw_only=True, gc=False):
    """Session persistence. `key_secret_ref`: the Secret whose value `key` is what tokens are made with; all gateways
    that serve the same clients need the same one.
    """

    key_secret_ref: SecretName | None = None


class GatewayConfigSpec(Record, frozen=True, kw_only=True, gc=False):
    """`trusted_proxies`: the networks whose X-Forwarded-* fields are believed."""

    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    upstream: Upstream = Upstream()
    access_log: AccessLogConfig | None = None
    sessions: Sessions = Sessions()
    trusted_proxies: Annotated[tuple[CIDR, ...], Meta(max_length=256, extra={"keys": ()})] | None = None


# The field of a GatewayConfig that each setting comes from; a path below `spec`.
SETTINGS: dict[str, tuple[str, str]] = {
    "head_bytes": ("limits", "head"),
    "request_line_bytes": ("limits", "request_line"),
    "fields": ("limits", "fields"),
    "trailer_bytes": ("limits", "trailers"),
    "buffer_bytes": ("limits", "buffer"),
    "body_min_rate": ("limits", "min_body_rate"),
    "head_timeout": ("timeouts", "head"),
    "tls_handshake_timeout": ("timeouts", "tls_handshake"),
    "idle_timeout": ("timeouts", "idle"),
    "connection_lifetime": ("timeouts", "connection_lifetime"),
    "body_read_timeout": ("timeouts", "body_read"),
    "body_grace": ("timeouts", "body_grace"),
    "write_timeout": ("timeouts", "write"),
    "connect_timeout": ("timeouts", "connect"),
    "first_byte_timeout": ("timeouts", "first_byte"),
    "authorization_timeout": ("timeouts", "authorization"),
    "stream_idle_timeout": ("timeouts", "stream_idle"),
    "tunnel_idle_timeout": ("timeouts", "tunnel_idle"),
    "half_closed_timeout": ("timeouts", "half_closed"),
    "drain_timeout": ("timeouts", "drain"),
    "upstream_connections": ("upstream", "connections"),
    "upstream_idle_connections": ("upstream", "idle_connections"),
    "upstream_idle_timeout": ("upstream", "idle_timeout"),
    "upstream_pending": ("upstream", "pending"),
    "access_log": ("access_log", "enabled"),
}


class GatewayConfig(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gatewayd.dev/v1alpha1"
    kind: str = "GatewayConfig"
    metadata: ObjectMeta
    spec: GatewayConfigSpec = GatewayConfigSpec()

    def to_settings_fields(self) -> dict[str, int | float | bool | tuple[str, ...]]:
        """The settings that are written, by the names of `routing.snapshot.Settings`; durations in seconds."""
        settings: dict[str, int | float | bool | tuple[str, ...]] = {}
        for name, (section, attribute) in SETTINGS.items():
            value = getattr(getattr(self.spec, section), attribute, None)
            if value is not None:
                settings[name] = seconds(value) if isinstance(value, str) else value
        if self.spec.trusted_proxies is not None:
            settings["trusted_proxies"] = self.spec.trusted_proxies
        return settings
