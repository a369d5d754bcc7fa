"""Lookups on a snapshot: listener, host, path, matches. Pure and hot; the cost does not grow with the routes."""
