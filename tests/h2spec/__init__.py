"""h2spec, the conformance suite of HTTP/2 (github.com/summerwind/h2spec), against a real gateway."""
