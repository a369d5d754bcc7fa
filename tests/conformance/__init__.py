"""The official Gateway API conformance suite, run against `gatewayd run DIR` without a cluster."""
