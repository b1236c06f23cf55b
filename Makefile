# Two commands do everything: `make demo` shows the main job, `make test` sets up and runs all tests.

# The first Python that is new enough and can make environments; override it with `make PYTHON=... test`.
PYTHON ?= $(shell for candidate in python3 python python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 \
	&& echo $$candidate && break; done)
# On Windows the recipes run in the sh of Git, and environments have their programs elsewhere.
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
MAKEFLAGS += --no-print-directory
# Nothing may be installed or run from the user's own site folder, nor be steered by a parent Python's path.
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

# How long `make fuzz` draws for each property, and for each fuzz target of Go.
FUZZ_SECONDS ?= 30

# The Go side; it uses the Go on the path, or else installs one with this Python.
GO_SIDE = $(MAKE) -C collector PYTHON="$(CURDIR)/$(BIN)/python"

.PHONY: help setup collector demo demo-collector test test-quick test-otel test-home-assistant test-all proof crash lint format site
.PHONY: bench mutate fuzz sbom release lock clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 22

setup: ## make .venv, or bring it up to date
	@test -n "$(PYTHON)" || { echo "no Python >= 3.10 that has venv and ensurepip was found" >&2; exit 1; }
	@$(PYTHON) tools/environments.py

collector: setup ## build the Collector, unless these sources have been built before, and print where it lies
	@$(BIN)/python tools/collector.py build

demo: setup ## the main job, end to end, on this machine alone
	@mkdir -p build
	@$(BIN)/franklinwh-telemetry demo --report build/demo-report.html

demo-collector: setup ## the same through the real Collector to a PostHog on this machine, and directly, and to a file
	@$(BIN)/python tools/demo_collector.py

test: setup ## all tests, Go's and Python's with coverage, then again on the wheel, on each OpenTelemetry release and on Home Assistant
	@$(GO_SIDE) test build
	@$(BIN)/python tools/run_tests.py dev wheel otel home-assistant

test-quick: setup ## the tests in .venv alone, without coverage
	@$(BIN)/python tools/run_tests.py quick

test-otel: setup ## the wire, status and contract tests on each OpenTelemetry release
	@$(BIN)/python tools/run_tests.py otel

test-home-assistant: setup ## the tests on a real Home Assistant, and whether its newest releases let us be installed
	@$(BIN)/python tools/run_tests.py home-assistant

test-all: setup ## as test, and on every CPython from 3.10 to 3.14 that is here, and on the newest OpenTelemetry
	@$(GO_SIDE) test build
	@$(BIN)/python tools/run_tests.py dev wheel otel home-assistant newest pythons

proof: setup ## the proofs at full scale
	@PROOF_SCALE=full $(BIN)/python -m pytest tests/proof

crash: setup ## strike a host and a sender at each of their system calls, which takes most of an hour; Linux with strace
	@PROOF_SCALE=full $(BIN)/python -m pytest tests/proof/test_crash.py

lint: setup ## style, format, types, direction of imports, and that what tools generate is up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --platform win32 src
	@$(BIN)/mypy --platform darwin src
	@$(BIN)/lint-imports
	@told=$$(NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict 2>&1) || { echo "$$told" >&2; exit 1; }
	@$(BIN)/python -m towncrier build --draft --version next >/dev/null 2>&1 || { echo "no page comes of docs/changelog.d" >&2; exit 1; }
	@$(GO_SIDE) lint verify
	@$(BIN)/python tools/shipped.py --check

site: setup ## build the pages into build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

sbom: setup ## list what is shipped in build/sbom, as CycloneDX, and its licences in docs/licences.md
	@$(BIN)/python tools/shipped.py

release: sbom ## build and check what is published: wheel and source distribution in dist, the lists in build/sbom
	@rm -rf dist
	@$(BIN)/python -m hatchling build
	@$(BIN)/python -m twine check --strict dist/*

format: setup ## let ruff put style and format right where it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## measure what the user's thread pays
	@$(BIN)/python tools/bench.py

mutate: setup ## change each place of what decides about telemetry, and see that a test notices; MODULES="event.py ..."
	@$(BIN)/python tools/mutate.py $(MODULES)

fuzz: setup ## draw new examples for every parser, FUZZ_SECONDS (30) for each property and each fuzz target of Go
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest --timeout=0 tests/proof/test_fuzz.py
	@$(GO_SIDE) fuzz FUZZTIME=$(FUZZ_SECONDS)s

lock: setup ## write requirements-dev.txt and Go's lock anew from their .in files, with the newest releases
	@$(BIN)/python tools/environments.py --lock

clean: ## remove what the other targets made here; the user's cache folder stays
	rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache collector/build
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
