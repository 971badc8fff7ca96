# Needs python3 (3.11 or newer, with venv), make and git. Everything else comes from the lock files: what running needs from
# requirements.lock into .venv, what developing adds from requirements-dev.lock, and uv, which installs both, into .uv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UVENV  := .uv
PEERS  := benchmarks/.venv
UV     := $(UVENV)/bin/uv
PIP    := $(UVENV)/bin/python -m pip --disable-pip-version-check --no-input

# A lock is a closed set: nothing is resolved. Wheels only, by their hashes: no package's own build script runs.
CLOSED := --quiet --no-deps --only-binary :all: --require-hashes

# The wheel of pyright holds the version that is pinned: no look at the network for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# Tests start hundreds of processes: each would compile all that it imports, where bytecode may not be written.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo dev test soak bench peers check docs reference format lock audit sbom build clean

help:  ## show this list
	@sed -n 's/^\([a-z][a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r name text; do printf 'make %-9s %s\n' "$$name" "$$text"; done

venv: $(VENV)/.dev  ## set up .venv for developing, from the lock files

define fit_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "$(PYTHON) is older than 3.11: install a newer one, or name it with 'make PYTHON=python3.12 ...'" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { echo "$(PYTHON) lacks venv or ensurepip: on Debian and Ubuntu, install python3-venv" >&2; exit 1; }
endef

# From uv's cache alone first: what is pinned by its hash is never out of date, and a network may be away. Last by pip:
# uv knows nothing of a mirror, a proxy or a certificate that only pip is told of.
define install
@echo "$(UV) pip install -r $(1)"
@$(UV) pip install --python $(or $(2),$(BIN))/python $(CLOSED) --offline -r $(1) 2>/dev/null || \
  $(UV) pip install --python $(or $(2),$(BIN))/python $(CLOSED) -r $(1) || \
  { echo "uv could not install $(1): pip tries, with its own configuration" >&2; \
    $(PIP) --python $(or $(2),$(BIN))/python install $(CLOSED) -r $(1); }
endef

# Resolves what pyproject.toml asks for from the environment alone, extras and groups too, which `pip check` leaves out.
define closed
@UV_FIND_LINKS= $(UV) pip install --quiet --no-cache --python $(BIN)/python --offline --no-index --dry-run -r pyproject.toml --all-extras --group $(1) || \
  { echo "$(2) lacks a package that pyproject.toml or another package needs, named above: 'make lock' mends it" >&2; exit 1; }
endef

$(UVENV)/.installed: requirements-uv.lock
	$(fit_python)
	$(PYTHON) -m venv --clear $(UVENV)
	$(PIP) install $(CLOSED) -r $<
	@touch $@

# A stamp per stage, each written when the stage is whole: what an interruption leaves is built anew. A changed lock rebuilds
# the environment from nothing, so that it never holds more than the locks name.
$(VENV)/.run: requirements.lock $(if $(wildcard $(VENV)/.dev),requirements-dev.lock) | $(UVENV)/.installed
	$(fit_python)
	$(PYTHON) -m venv --clear --without-pip $(VENV)
	$(call install,requirements.lock)
	@touch $@

# Hashes can't be required of a checkout, so it has a stage of its own: an edit of pyproject.toml repeats that one only.
$(VENV)/.installed: $(VENV)/.run pyproject.toml
	$(call closed,build,requirements.lock)
	$(UV) pip install --quiet --no-cache --python $(BIN)/python --offline --no-deps --no-build-isolation -e .
	@touch $@

# Only adds to what running needs. `.adding` outlives an interruption, and says that packages may be there by half.
$(VENV)/.dev: $(VENV)/.installed requirements-dev.lock
	@test ! -e $(VENV)/.adding || { rm -f $(VENV)/.run && $(MAKE) $(VENV)/.installed; }
	@touch $(VENV)/.adding
	$(call install,requirements-dev.lock)
	@rm $(VENV)/.adding
	$(call closed,dev,requirements-dev.lock)
	@touch $@

demo: $(VENV)/.installed  ## run a governed agent to its end: engine, worker and model all local, no key
	$(BIN)/backstay demo

dev: $(VENV)/.installed  ## Temporal dev server and worker until Ctrl-C
	$(BIN)/backstay dev

check: venv  ## format, lint, types, the dependency rule, fast tests, all of kernel and contracts covered
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/property --cov=backstay.kernel --cov=backstay.contracts \
	  --cov-branch --cov-report=term-missing --cov-fail-under=100

# Most tests wait more than they work: three processes take turns on two cores, each with a server of its own. Files run
# in the order of their names, so that the long ones of tests/chaos come first: a file of few long tests that starts last
# would keep one process busy while the others have ended. A process that dies fails its test, which is not tried again.
# Its servers live for minutes and have memory enough: they clean up a quarter as often (GOGC).
test: venv  ## the whole suite, against a real Temporal server
	GOGC=400 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart=0 --durations=10 $(TESTS)

# A test in full may take many times the limit that suits it with a small seed.
soak: venv  ## the long tests in full
	BACKSTAY_SOAK=1 $(BIN)/python -m pytest -m soak --timeout=3600 -o faulthandler_timeout=4000 --durations=10

bench: $(VENV)/.installed $(PEERS)/.installed  ## steps per second, CPU, events and bytes per step, beside other contenders
	$(BIN)/python -m benchmarks

# An environment of its own: what the peers need never meets what the project needs.
peers: $(PEERS)/.installed  ## what the other contenders of `make bench` need, into benchmarks/.venv

$(PEERS)/.installed: benchmarks/peers.lock | $(UVENV)/.installed
	$(fit_python)
	$(PYTHON) -m venv --clear --without-pip $(PEERS)
	$(call install,$<,$(PEERS)/bin)
	@touch $@

docs: venv  ## the documentation as a site, into site/, its links checked
	$(BIN)/zensical build --strict --clean

reference: venv  ## write docs/reference/ anew from the code
	$(BIN)/python -m docs.generate

format: venv  ## mend format and the lint that can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Keeps the versions that are pinned and still fit; `make lock UPGRADE=--upgrade` takes the newest. The pins for running are
# those for developing that running needs: the two can't disagree.
lock: $(UVENV)/.installed  ## write the lock files anew from pyproject.toml
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --all-extras --group build --constraints requirements-dev.lock --output-file requirements.lock
	$(COMPILE) --group uv --output-file requirements-uv.lock
	$(COMPILE) benchmarks/peers.in --constraints requirements.lock --output-file benchmarks/peers.lock

COMPILE = $(UV) pip compile --python $(UVENV)/bin/python --universal --python-version 3.11 --generate-hashes \
  --only-binary :all: --no-header --no-emit-index-url --no-emit-find-links --quiet $(UPGRADE)

# These two are fetched when they are used: nothing that runs or is developed needs them.
audit: $(UVENV)/.installed  ## known advisories against what is pinned, where a service of advisories answers
	$(UV) tool run pip-audit==2.10.1 --disable-pip --progress-spinner off -r requirements-dev.lock

sbom: $(UVENV)/.installed  ## the packages of the image as CycloneDX, into dist/
	@mkdir -p dist
	$(UV) tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --short-PURLs --output-reproducible --output-file dist/backstay.cdx.json requirements.lock

build: venv  ## the wheel, into dist/
	$(BIN)/python -m build --no-isolation --wheel --outdir dist

clean:  ## remove .venv, .uv, caches, dist and site
	rm -rf $(VENV) $(UVENV) $(PEERS) dist site .cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
