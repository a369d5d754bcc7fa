"""HTTP/1.1 on both sides of an exchange (RFC 9112)."""
