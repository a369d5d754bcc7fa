# Everything that is done with this project. Needs Python 3.11 or newer (with venv) and nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
PYTEST_ARGS ?=
BENCH_ARGS  ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint format types bench bench-smoke faults conformance h2spec clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: $(READY) ## Start the demo: a gateway and two echo backends, no root needed
	@exec $(BIN)/gatewayd demo

test: $(READY) ## Run the tests (PYTEST_ARGS='-x -k reload')
	$(BIN)/python -m pytest -q $(PYTEST_ARGS)

lint: $(READY) ## Check style and the import rule
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(READY) ## Check types (mypy --strict)
	$(BIN)/mypy

bench: $(READY) ## Measure against nginx, HAProxy, Envoy, Traefik and Caddy (BENCH_ARGS='--only head'; see benchmarks/)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-smoke: $(READY) ## Show in half a minute that the benchmark works; no peers
	$(BIN)/python -m benchmarks --smoke

faults: $(READY) ## Run the fault experiments (minutes; see tests/faults/)
	$(BIN)/python -m tests.faults

conformance: $(READY) ## Run the official Gateway API conformance suite (RUN=HTTPRouteWeight: one test); needs Go, root
	$(BIN)/python -m tests.conformance $(if $(RUN),--run $(RUN))

h2spec: $(READY) ## Run h2spec, the suite for HTTP/2, in clear text and over TLS; needs Go
	$(BIN)/python -m tests.h2spec

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist tests/conformance/.build tests/h2spec/.build benchmarks/greeter/.build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find gatewayd tests benchmarks -path benchmarks/.venv -prune -o -name __pycache__ -type d -print | xargs rm -rf
