"""The echo backend: what `gatewayd echo` runs, for the demo, for trying routes, and for the tests."""
