# `make demo` and `make test` work on a clean clone with nothing but python3 (3.11 or newer), make and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo
# Two test processes of one thread each: threads of two processes on two cores would wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0

.PHONY: demo test lint clean help

help:  ## show this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## translate two example pairs and build the report
	$(BIN)/mgi weights fetch --embedded
	$(BIN)/mgi translate examples/sources examples/exemplars --out $(DEMO) --profile embedded --limit 2
	@echo
	@echo "report:        $(DEMO)/report.html"
	@echo "contact sheet: $(DEMO)/contact_sheet.png"

test: lint  ## lint, types, import contracts and all tests
	$(BIN)/mgi weights fetch --embedded
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.installed-dev  ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## remove the virtual environment and the demo run
	rm -rf $(VENV) $(DEMO)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mgi needs Python 3.11 or newer, found $$($(PYTHON) --version); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The stamps are newer than pyproject.toml once what it asks for is installed.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/.installed $@
