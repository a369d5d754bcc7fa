"""HTTP/2 on both sides of an exchange (RFC 9113)."""
