# `make demo` and `make test` work on a clean clone with nothing but python3 (3.11 or newer), make and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo
# Two test processes of one thread each: threads of two processes on two cores would wait for each other.
PYTEST := OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0 $(BIN)/python -m pytest -n 2 --dist loadfile
# What `make check` looks at: the command line and the real runs take minutes, and are left to `make test`.
FAST := tests/test_structure.py mgi storage tasks flows tests/mgi tests/storage tests/tasks

# Where pyenv and uv keep Pythons, each with its colon: tox looks at the PATH.
PYTHONS = $(shell for folder in ~/.pyenv/versions/*/bin ~/.local/share/uv/python/*/bin; do [ -d $$folder ] && printf '%s:' $$folder; done)

.PHONY: demo check test test-long lint pythons dist docs clean help

help:  ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## translate two example pairs and build the report
	$(BIN)/mgi weights fetch --embedded
	$(BIN)/mgi translate examples/sources examples/exemplars --out $(DEMO) --profile embedded --limit 2
	@echo
	@echo "report:        $(DEMO)/report.html"
	@echo "contact sheet: $(DEMO)/contact_sheet.png"

check: lint  ## lint and the fast tests, in a minute: before every commit
	MGI_OFFLINE=1 $(PYTEST) -m "not slow and not soak and not long" $(FAST)

test: lint  ## lint and all tests, with real weights: before a pull request
	$(BIN)/mgi weights fetch --embedded
	$(PYTEST)

test-long: $(VENV)/.installed-dev  ## what takes too long for every pull request: before a release, and in continuous integration
	$(BIN)/mgi weights fetch --embedded
	$(PYTEST) -m long

lint: $(VENV)/.installed-dev  ## ruff (docstrings and format too), mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pythons: $(VENV)/.installed-dev  ## the fast tests under Python 3.11, 3.12 and 3.13, each in a fresh environment (.tox)
	PATH="$(PYTHONS)$$PATH" $(BIN)/python -m tox run --colored no -- $(FAST)

dist: $(VENV)/.installed-dev  ## source distribution and wheel, in dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(BIN)/python -c "import build_backend; build_backend.build_sdist('dist')"

docs: $(VENV)/.installed-docs  ## build the documentation site, site/index.html; a warning stops it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site: site/index.html"

clean:  ## remove the virtual environment, the demo run and the site
	rm -rf $(VENV) $(DEMO) site

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mgi needs Python 3.11 or newer, found $$($(PYTHON) --version); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The stamps are newer than pyproject.toml once what it asks for is installed.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[metrics,s3]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $(VENV)/.installed $@
