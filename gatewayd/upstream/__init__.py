"""Backends and their endpoints: which one takes the next exchange, and what is remembered of failures."""
