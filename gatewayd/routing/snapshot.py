"""What the plan hands to the traffic path: immutable, serialisable data, no behaviour.

The supervisor plans and sends what changed (`routing.change`) to every worker; a worker keeps the `Snapshot` that
results and compiles it (`routing.table`). Bytes throughout: these values meet the wire. Names of the parts:

    Snapshot ── PortPlan ── ListenerPlan ── (host, routes attached to it) ── RoutePlan ── RulePlan ── MatchPlan
                                                                                             └─ SharePlan ── BackendPlan
"""

from __future__ import annotations

from typing import Literal

import msgspec

Transport = Literal["http", "https", "tls", "tcp"]


class Plan(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Root of the records in this module."""


class Edit(Plan, frozen=True):
    """RequestHeaderModifier or ResponseHeaderModifier (GEP-1323). Names lower case."""

    set: tuple[tuple[bytes, bytes], ...] = ()
    add: tuple[tuple[bytes, bytes], ...] = ()
    remove: tuple[bytes, ...] = ()


class PathEdit(Plan, frozen=True):
    """ReplaceFullPath when `prefix` is None, else ReplacePrefixMatch of that prefix (GEP-726)."""

    value: bytes
    prefix: bytes | None = None


class Redirect(Plan, frozen=True):
    """RequestRedirect. None keeps what the request has; `port` None follows the rules of the specification."""

    status: int = 302
    scheme: bytes | None = None
    hostname: bytes | None = None
    port: int | None = None
    path: PathEdit | None = None


class Cors(Plan, frozen=True):
    """CORS (GEP-1767). `origins` are b"*" alone, or scheme://host[:port] where the host may be `*` or begin with `*.`;
    b"*" stands alone in the other lists too. `max_age` in seconds.
    """

    origins: tuple[bytes, ...] = ()
    credentials: bool = False
    methods: tuple[bytes, ...] = ()
    headers: tuple[bytes, ...] = ()
    expose: tuple[bytes, ...] = ()
    max_age: int = 5


class MirrorPlan(Plan, frozen=True):
    """RequestMirror: a copy of `numerator` in `denominator` requests goes to `backend`, a key of Snapshot.backends."""

    backend: str
    numerator: int = 1
    denominator: int = 1


class AuthPlan(Plan, frozen=True):
    """ExternalAuth (GEP-1494): `backend`, a key of Snapshot.backends, is asked before a request passes.

    `request` names the client's fields that it is shown, `response` those of its answer that go into the request; lower
    case. `path` is put in front of the path, `authority` is the host that a gRPC service is asked for. `body` is the
    longest body in bytes that may pass, and is shown to it; 0 shows none of it and lets every length pass.
    """

    backend: str
    grpc: bool = False
    authority: bytes = b""
    path: bytes = b""
    request: tuple[bytes, ...] = ()
    response: tuple[bytes, ...] = ()
    body: int = 0


class Filters(Plan, frozen=True):
    """The filters of one rule or of one backendRef, already merged into one record."""

    request: Edit | None = None
    response: Edit | None = None
    redirect: Redirect | None = None
    hostname: bytes | None = None
    path: PathEdit | None = None
    cors: Cors | None = None
    mirrors: tuple[MirrorPlan, ...] = ()
    auth: AuthPlan | None = None


class Condition(Plan, frozen=True):
    """One header (name lower case) or query parameter (name as written) that must hold."""

    name: bytes
    value: bytes
    regex: bool = False


class MatchPlan(Plan, frozen=True):
    """One entry of rules[].matches: all parts must hold. `path` is in the normal form of `wire.path`.

    `grpc`: only calls of gRPC match, by their Content-Type. `call`: the method of a call to whatever service, so the
    path must be `/<service>/<call>`.
    """

    path_kind: Literal["exact", "prefix", "regex"] = "prefix"
    path: bytes = b"/"
    method: bytes | None = None
    headers: tuple[Condition, ...] = ()
    query: tuple[Condition, ...] = ()
    grpc: bool = False
    call: bytes = b""


class SharePlan(Plan, frozen=True):
    """One backendRef of a rule. `backend` is a key of Snapshot.backends; empty when it could not be resolved."""

    backend: str
    weight: int = 1
    filters: Filters | None = None
    failure: str = ""  # why it cannot be used: a reason word such as "BackendNotFound"; answered with 500
    clear_failure: str = ""  # why it cannot be used for what the gateway itself decrypted


class Timeouts(Plan, frozen=True):
    """rules[].timeouts in seconds, 0 is no limit: the whole exchange, and one attempt at a backend (GEP-1742)."""

    request: float = 0.0
    backend_request: float = 0.0


class Retry(Plan, frozen=True):
    """rules[].retry (GEP-1731): how many attempts may follow the first, the status codes that ask for one (lost
    connections and attempts that took too long always do), and the least wait before one, in seconds.
    """

    attempts: int = 2
    codes: tuple[int, ...] = ()
    backoff: float = 0.05


class Persistence(Plan, frozen=True):
    """sessionPersistence (GEP-1619): how a client shows which session it is in. Sessions belong to one rule, wherever
    the setting was written. `name`: of the cookie, or of the field (lower case); empty for a cookie's name that the
    gateway makes, another for each rule. `timeout`: the age in seconds at which a session ends, 0 for no limit;
    `permanent` cookies outlive the browser until then. `policy`: the XBackendTrafficPolicy ("namespace/name") that says
    so, "" where it is the rule itself.
    """

    kind: Literal["cookie", "header"] = "cookie"
    name: bytes = b""
    path: bytes = b"/"
    permanent: bool = False
    timeout: float = 0.0
    policy: str = ""


class RulePlan(Plan, frozen=True):
    """One rule of a route. It does not say where it is written: lines shift, and what is served stays as it is."""

    index: int
    name: str = ""
    matches: tuple[MatchPlan, ...] = (MatchPlan(),)
    filters: Filters | None = None
    shares: tuple[SharePlan, ...] = ()
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    persistence: Persistence | None = None
    refusal: str = ""  # a reason word: every request that takes this rule is answered 500 (fails closed)


class RoutePlan(Plan, frozen=True):
    """One route object. `created` is its creationTimestamp (RFC 3339, "" when absent), a key of the precedence."""

    key: str  # "HTTPRoute/namespace/name"
    kind: str
    namespace: str
    name: str
    created: str = ""
    rules: tuple[RulePlan, ...] = ()


class ListenerPlan(Plan, frozen=True):
    """One listener. `hosts` maps each effective hostname ("" any, "*.x" wildcard, else exact; lower case) to the keys
    of the routes attached with it. For a TCP listener the only host is b"" and its first route is served, as for each
    host of a TLS listener.
    """

    key: str  # "namespace/gateway/listener"
    gateway: str  # "namespace/gateway"
    name: str
    protocol: str  # HTTP, HTTPS, TLS, TCP
    hostname: bytes = b""
    hosts: dict[bytes, tuple[str, ...]] = {}
    certificates: tuple[str, ...] = ()
    settings: str = ""  # key of Snapshot.settings
    source: str = ""
    passthrough: bool = False  # TLS that is not decrypted


class PortPlan(Plan, frozen=True):
    """One socket address and the listeners that share it."""

    key: str  # "address:port"
    address: str  # the address to bind; "" is the wildcard
    port: int  # the port to bind, after --port-map
    number: int  # the port as the Gateway writes it
    transport: Transport  # "https" also where some of the listeners are for TLSRoutes
    listeners: tuple[ListenerPlan, ...] = ()


class RetryBudgetPlan(Plan, frozen=True):
    """XBackendTrafficPolicy's retryConstraint (GEP-3388): of what its target gets in `interval` at most `percent` may
    be retries; `count` of them in `every` are allowed in any case. Seconds.
    """

    policy: str  # "namespace/name"
    target: str  # "Kind/namespace/name": all its ports together have one budget
    percent: int = 20
    interval: float = 10.0
    count: int = 10
    every: float = 1.0


class BackendPlan(Plan, frozen=True):
    """One port of one Service or XBackend and where it is served now."""

    # "namespace/service:port" or "XBackend/namespace/name:port"; "/h2c" after it where a GRPCRoute asks for HTTP/2
    key: str
    endpoints: tuple[tuple[str, int], ...] = ()
    protocol: Literal["http1", "h2c", "ws"] = "http1"
    dns: tuple[str, int] | None = None  # a name outside: resolved by the worker, refreshed in the background
    retries: RetryBudgetPlan | None = None
    draining: tuple[tuple[str, int], ...] = ()  # beside `endpoints`: only for sessions that began there


class CertificatePlan(Plan, frozen=True):
    """One Secret of type kubernetes.io/tls. PEM; `names` are the DNS names of the leaf, lower case."""

    key: str  # "namespace/secret"
    chain: bytes
    private_key: bytes
    names: tuple[bytes, ...] = ()


class Settings(Plan, frozen=True):
    """Limits and timeouts of one Gateway (GatewayConfig). Bytes and seconds; 0 means no limit."""

    head_bytes: int = 65536
    request_line_bytes: int = 16384
    fields: int = 100
    head_timeout: float = 10.0
    tls_handshake_timeout: float = 10.0
    idle_timeout: float = 60.0
    connection_lifetime: float = 3600.0
    body_read_timeout: float = 30.0
    body_min_rate: int = 240
    body_grace: float = 5.0
    write_timeout: float = 60.0
    connect_timeout: float = 5.0
    first_byte_timeout: float = 60.0
    authorization_timeout: float = 5.0
    stream_idle_timeout: float = 300.0
    tunnel_idle_timeout: float = 3600.0
    half_closed_timeout: float = 60.0
    upstream_idle_timeout: float = 60.0
    upstream_idle_connections: int = 100
    upstream_connections: int = 1024
    upstream_pending: int = 1024
    trailer_bytes: int = 8192
    buffer_bytes: int = 65536
    access_log: bool = True
    trusted_proxies: tuple[str, ...] = ()  # CIDRs whose X-Forwarded-* fields are believed
    drain_timeout: float = 30.0
    session_key: bytes = b""  # what tokens of sessions are made with; at most 64 bytes


class Snapshot(Plan, frozen=True):
    """All that the workers serve, of one generation."""

    generation: int = 0
    ports: dict[str, PortPlan] = {}
    routes: dict[str, RoutePlan] = {}
    backends: dict[str, BackendPlan] = {}
    certificates: dict[str, CertificatePlan] = {}
    settings: dict[str, Settings] = {}
