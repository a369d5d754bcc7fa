"""What the filters and limits of a rule or backend do, in lines for people."""

from __future__ import annotations

from gatewayd.routing.snapshot import (
    AuthPlan,
    BackendPlan,
    Cors,
    Edit,
    Filters,
    MirrorPlan,
    PathEdit,
    Redirect,
    RulePlan,
)


def filter_lines(filters: Filters | None) -> list[str]:
    """What the filters do, one line each, in the order in which they are applied."""
    if filters is None:
        return []
    lines = [] if filters.cors is None else [_cors(filters.cors)]
    lines += [] if filters.auth is None else [_auth(filters.auth)]
    lines += _edits("request", filters.request) + _edits("response", filters.response)
    if filters.redirect is not None:
        lines.append(_redirect(filters.redirect))
    if filters.hostname is not None:
        lines.append(f"rewrite host to {filters.hostname.decode()}")
    if filters.path is not None:
        lines.append(f"rewrite {_path(filters.path)}")
    return lines + [_mirror(mirror) for mirror in filters.mirrors]


def _mirror(mirror: MirrorPlan) -> str:
    part = "" if mirror.numerator == mirror.denominator else f" of {100 * mirror.numerator / mirror.denominator:g} %"
    return f"mirror a copy{part} to {mirror.backend}"


def _auth(auth: AuthPlan) -> str:
    where = f"{auth.backend} by {'gRPC' if auth.grpc else 'HTTP'}"
    parts = [f"at {auth.path.decode('latin-1')} and the request's path"] if auth.path else []
    parts += [f"shown headers {_joined(auth.request)}"] if auth.request else []
    parts += [f"headers {_joined(auth.response)} are its own"] if auth.response else []
    parts += [f"shown bodies, of {auth.body} bytes at most"] if auth.body else []
    return f"ask {where} to authorize{''.join(f'; {part}' for part in parts)}"


def _cors(cors: Cors) -> str:
    lists = {"methods": cors.methods, "headers": cors.headers, "exposed headers": cors.expose}
    parts = [f"{name} {_joined(values)}" for name, values in lists.items() if values]
    parts += ["credentials"] if cors.credentials else []
    return f"CORS for {_joined(cors.origins) or 'no origin'}{''.join(f'; {part}' for part in parts)}"


def _joined(values: tuple[bytes, ...]) -> str:
    return ", ".join(value.decode() for value in values)


def _edits(side: str, edit: Edit | None) -> list[str]:
    if edit is None:
        return []
    lines = [f"{side} header {name.decode()}: set to {value.decode('latin-1')!r}" for name, value in edit.set]
    lines += [f"{side} header {name.decode()}: add {value.decode('latin-1')!r}" for name, value in edit.add]
    return lines + [f"{side} header {name.decode()}: remove" for name in edit.remove]


def _redirect(redirect: Redirect) -> str:
    parts = {
        "scheme": redirect.scheme and redirect.scheme.decode(),
        "host": redirect.hostname and redirect.hostname.decode(),
        "port": redirect.port,
        "": redirect.path and _path(redirect.path),
    }
    changes = ", ".join(f"{name} {value}".strip() for name, value in parts.items() if value)
    return f"redirect {redirect.status}{f' with {changes}' if changes else ''}"


def _path(edit: PathEdit) -> str:
    if edit.prefix is None:
        return f"path to {edit.value.decode('latin-1')}"
    return f"path prefix {edit.prefix.decode('latin-1')} to {edit.value.decode('latin-1') or '/'}"


def limit_lines(rule: RulePlan) -> list[str]:
    """How long the rule's requests may take, when they are tried again, and who else has a say."""
    lines = []
    if rule.timeouts is not None and rule.timeouts.request:
        lines.append(f"the request may take {rule.timeouts.request:g} s")
    if rule.timeouts is not None and rule.timeouts.backend_request:
        lines.append(f"an attempt at a backend may take {rule.timeouts.backend_request:g} s")
    if rule.retry is not None:
        codes = f", or status {', '.join(str(code) for code in rule.retry.codes)}" if rule.retry.codes else ""
        again = f"{rule.retry.attempts} more attempt{'s' if rule.retry.attempts > 1 else ''}"
        lines.append(f"{again} after a lost connection or a timeout{codes}, {rule.retry.backoff:g} s apart or more")
    if rule.persistence is not None and rule.persistence.policy:
        lines.append(f"sessions are kept as XBackendTrafficPolicy {rule.persistence.policy} says")
    return lines


def policy_lines(backend: BackendPlan | None) -> list[str]:
    """What policies do to a backend."""
    if backend is None or backend.retries is None:
        return []
    budget = backend.retries
    share = f"retries are at most {budget.percent} % of what {budget.target.replace('/', ' ', 1)} gets"
    least = f"but {budget.count} in {budget.every:g} s in any case"
    return [f"{share} in {budget.interval:g} s, {least} (XBackendTrafficPolicy {budget.policy})"]
