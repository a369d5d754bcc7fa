"""TLS Secrets of tests, as YAML. Keys are made once for a run of the tests."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def private_key(kind: str = "ec") -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """A key: `ec`, another `ec-2`, or a weak `rsa-1024`."""
    if kind == "rsa-1024":
        return rsa.generate_private_key(65537, 1024)  # noqa: S505 - a weak key is the point
    return ec.generate_private_key(ec.SECP256R1())


def certificate_pem(*names: str, key: str = "ec", days: int = 365) -> bytes:
    """A self-signed certificate, valid from BEGIN."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0] if names else "test")])
    own = private_key(key)
    builder = x509.CertificateBuilder(subject, subject, own.public_key(), 1, BEGIN, BEGIN + timedelta(days=days))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(own, hashes.SHA256()).public_bytes(Encoding.PEM)


def key_pem(key: str = "ec", password: bytes | None = None) -> bytes:
    """The PEM of a key, encrypted when there is a password."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return private_key(key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def secret(name: str, namespace: str, certificate: bytes, key: bytes, kind: str = "kubernetes.io/tls") -> str:
    """The YAML document of a Secret."""
    crt, pem = base64.b64encode(certificate).decode(), base64.b64encode(key).decode()
    return f"""
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {namespace}}}
type: {kind}
data: {{tls.crt: "{crt}", tls.key: "{pem}"}}
---
"""


def good_secret(name: str, namespace: str, *names: str) -> str:
    """A Secret that can be served."""
    return secret(name, namespace, certificate_pem(*names), key_pem())
