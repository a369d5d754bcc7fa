"""certificateRefs -> CertificatePlan, or the reason why a reference cannot be used."""

from __future__ import annotations

from typing import Any, NamedTuple

from gatewayd.api.objects import Object
from gatewayd.plan import grants
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.grants import Reference
from gatewayd.plan.reads import Reads
from gatewayd.routing.snapshot import CertificatePlan


class Found(NamedTuple):
    """What one certificateRef leads to. `expires` and `begins` are POSIX seconds."""

    secret: Object | None = None
    plan: CertificatePlan | None = None
    failure: Verdict | None = None
    hint: str = ""
    begins: float = 0.0
    expires: float = 0.0


def find(ref: Any, kind: str, namespace: str, reads: Reads, store: Store, bad: str = "InvalidCertificateRef") -> Found:
    """Follow a certificate reference of an object of `kind`; `bad` is the reason for all but a missing grant."""
    reference = Reference(kind, namespace, ref)
    if (reference.group, reference.kind) != ("", "Secret"):
        wanted = f"{reference.group}/{reference.kind}" if reference.group else reference.kind
        return Found(failure=Verdict(bad, f"certificates of kind {wanted} are not known"), hint="refer to a Secret")
    if not grants.permitted(reference, reads):
        message = f"no ReferenceGrant lets {kind} of namespace {namespace} use {reference}"
        return Found(failure=Verdict("RefNotPermitted", message), hint=grants.hint(reference))
    secret = reads.get("Secret", reference.namespace, reference.name)
    if secret is None:
        return Found(failure=Verdict(bad, f"{reference} does not exist"), hint="write the Secret, or correct the name")
    reads.place(secret)
    found = store.load(secret)
    if isinstance(found, str):
        return Found(secret, failure=Verdict(bad, f"{reference}: {found}"), hint=_SHAPE)
    return found


_SHAPE = "a Secret of type kubernetes.io/tls holds PEM in tls.crt (leaf first) and the matching key in tls.key"


class Store:
    """Secrets that were parsed, so that each is parsed once however many listeners name it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Object, Found | str]] = {}

    def load(self, secret: Object) -> Found | str:
        """The certificate, or a text that says what is wrong with the Secret."""
        known = self._known.get(secret.key)
        if known is not None and known[0].resource is secret.resource:
            result = known[1] if isinstance(known[1], str) else known[1]._replace(secret=secret)
        else:
            result = _load(secret)
        self._known[secret.key] = (secret, result)
        return result

    def keep(self, secrets: tuple[Object, ...]) -> None:
        """Forget all Secrets but these: keys do not outlive their files."""
        wanted = {secret.key for secret in secrets}
        self._known = {key: value for key, value in self._known.items() if key in wanted}


def _load(secret: Object) -> Found | str:
    # cryptography takes longer to import than all of the plan; files without a Secret need not wait for it.
    from gatewayd.plan import keypairs  # noqa: PLC0415

    try:
        pair = keypairs.load(secret)
    except keypairs.UnusableError as error:
        return str(error)
    return Found(secret, pair.plan, begins=pair.begins, expires=pair.expires)
