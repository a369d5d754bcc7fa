"""Where objects come from: files."""
