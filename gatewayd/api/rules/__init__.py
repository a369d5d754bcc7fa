"""Rules that relate fields to one another: those that the CRDs write in CEL, and the built-in kinds in Go."""
