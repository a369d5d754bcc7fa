"""Requests that wait until a service allows them (GEP-1494)."""
