"""What the gateway says about itself: access log, log, metrics, admin API."""
