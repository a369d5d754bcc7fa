"""The user's objects as written: YAML with line numbers, typed resources, and what is wrong with them. Pure."""
