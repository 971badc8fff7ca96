# Needs python3 (3.11 or newer, with venv), make and git. Everything else comes from requirements.lock into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input

# The wheel of pyright holds the version that is pinned: no look at the network for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo dev test soak bench check format coverage lock build clean

help:  ## show this list
	@sed -n 's/^\([a-z][a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r name text; do printf 'make %-9s %s\n' "$$name" "$$text"; done

venv: $(VENV)/.installed  ## set up .venv from the lock file

# Two stamps, because hashes can't be required of a checkout: an edit of pyproject.toml repeats the short step only.
# A changed lock rebuilds the environment from nothing, so that it never holds more than the lock names. Wheels only:
# installing runs no package's own build script.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: install a newer one, or name it with 'make PYTHON=python3.12 ...'" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --only-binary :all: --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: venv  ## run a governed agent to its end: engine, worker and model all local, no key
	$(BIN)/backstay demo

dev: venv  ## Temporal dev server and worker until Ctrl-C
	$(BIN)/backstay dev

check: venv  ## format, lint, types, the dependency rule, and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit tests/property

# Most tests wait more than they work: two processes take turns, each with a server of its own.
test: venv  ## the whole suite, against a real Temporal server
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

# A test in full may take many times the limit that suits it with a small seed.
soak: venv  ## the long tests in full
	BACKSTAY_SOAK=1 $(BIN)/python -m pytest -m soak --timeout=3600 --durations=10

bench: venv  ## steps per second, CPU, events and bytes per step, beside a bare floor
	$(BIN)/python -m benchmarks

format: venv  ## mend format and the lint that can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: venv  ## hold kernel and contracts to 100 % branch coverage
	$(BIN)/python -m pytest -q tests/unit tests/property --cov=backstay.kernel --cov=backstay.contracts \
	  --cov-branch --cov-report=term-missing --cov-fail-under=100

# Keeps the versions that are pinned and still fit; `make lock UPGRADE=--upgrade` takes the newest.
lock: venv  ## write requirements.lock anew from pyproject.toml
	$(PIP) install --quiet --only-binary :all: 'uv>=0.9,<1'
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --only-binary :all: --no-header --no-emit-index-url --no-emit-find-links \
	  --quiet $(UPGRADE) --output-file requirements.lock

build: venv  ## the wheel, into dist/
	$(BIN)/python -m build --no-isolation --wheel --outdir dist

clean:  ## remove .venv, caches and dist
	rm -rf $(VENV) dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
