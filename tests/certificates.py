"""Certificates for the tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(name: str, certificate: Path, key: Path) -> None:
    """Write a self-signed certificate for one DNS name, and its key, as PEM."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "30", *curve, *subject, *files], check=True, capture_output=True
    )
