"""Secret of type kubernetes.io/tls -> CertificatePlan. What would make a worker refuse it is found here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    NameOID,
    SubjectAlternativeName,
    load_pem_x509_certificates,
)

from gatewayd.api.objects import Object
from gatewayd.plan.parts import resource
from gatewayd.routing.snapshot import CertificatePlan

# OpenSSL at security level 2, the default, refuses weaker keys and digests when it loads them.
MIN_RSA_BITS = 2048
MIN_EC_BITS = 224
WEAK_DIGESTS = ("md5", "sha1")


class Pair(NamedTuple):
    """A certificate with its key. `begins` and `expires` are POSIX seconds."""

    plan: CertificatePlan
    begins: float
    expires: float


class UnusableError(ValueError):
    """Why a Secret holds no certificate that can be served."""


def load(secret: Object) -> Pair:
    """Parse a Secret. UnusableError says what is wrong with it."""
    record = resource(secret)
    if record.type != "kubernetes.io/tls":
        raise UnusableError(f"its type is {record.type}, not kubernetes.io/tls")
    chain = _chain(_entry(record, "tls.crt"))
    key = _private_key(_entry(record, "tls.key"))
    _judge_strength(chain)
    if chain[0].public_key() != key.public_key():
        raise UnusableError("tls.key is not the key of the first certificate of tls.crt")
    plan = CertificatePlan(
        key=f"{secret.namespace}/{secret.name}",
        chain=b"".join(_pem(certificate) for certificate in chain),
        private_key=_key_pem(key),
        names=tuple(dict.fromkeys(_names(chain[0]))),
    )
    begins, expires = chain[0].not_valid_before_utc, min(one.not_valid_after_utc for one in chain)
    return Pair(plan, begins.timestamp(), expires.timestamp())


def _entry(record: Any, name: str) -> bytes:
    value: bytes = record.data.get(name, b"")
    if not value:
        raise UnusableError(f"it has no {name}")
    return value


def _chain(pem: bytes) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise UnusableError("tls.crt is no PEM certificate") from None


def _private_key(pem: bytes) -> Any:
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        raise UnusableError("tls.key is encrypted; there is nobody to ask for a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableError("tls.key is no PEM private key") from None


def _judge_strength(chain: list[Certificate]) -> None:
    for certificate in chain:
        key = certificate.public_key()
        if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
            raise UnusableError(f"an RSA key of {key.key_size} bits is too weak, {MIN_RSA_BITS} is the least")
        if isinstance(key, EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS:
            raise UnusableError(f"an EC key of {key.key_size} bits is too weak, {MIN_EC_BITS} is the least")
        digest = certificate.signature_hash_algorithm
        if digest is not None and digest.name in WEAK_DIGESTS and certificate.issuer != certificate.subject:
            raise UnusableError(f"a certificate signed with {digest.name} is too weak")


def _pem(certificate: Certificate) -> bytes:
    """Written anew: what else stands in tls.crt does not travel on."""
    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _names(certificate: Certificate) -> Iterator[bytes]:
    """The DNS names of a certificate (RFC 6125: subjectAltName; the common name only when there is none)."""
    try:
        extension = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        names = extension.value.get_values_for_type(DNSName)
    except ExtensionNotFound:
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    yield from (name.lower().encode() for name in names)
