# Everything that one does with a checkout. `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
MILVUS_VENV ?= .venv-milvus
BIN := $(VENV)/bin
# A server that is given needs none to be installed.
MILVUS := $(if $(SCRUBJAY_TEST_MILVUS_URI),,$(MILVUS_VENV)/.ready)

export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint format bench doctor clean

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.ready ## Set up, start the service on Milvus Lite, store memories and find them by meaning.
	$(BIN)/python scripts/demo.py

serve: $(VENV)/.ready ## Run the service until Ctrl-C; memories live in .scrubjay.
	$(BIN)/scrubjay serve

test: $(VENV)/.ready-dev $(MILVUS) ## Set up and run all tests, on Milvus Lite and on a real Milvus Standalone.
	SCRUBJAY_TEST_MILVUS_PYTHON=$(abspath $(MILVUS_VENV))/bin/python $(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.ready-dev ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready-dev ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready-dev $(MILVUS) ## Measure, each figure as a ratio to a baseline of the same run.
	SCRUBJAY_TEST_MILVUS_PYTHON=$(abspath $(MILVUS_VENV))/bin/python $(BIN)/python -m benchmarks $(ARGS)

doctor: $(VENV)/.ready ## Check what the service needs and say what to fix.
	$(BIN)/scrubjay doctor

clean: ## Remove the virtual environments and caches; memories stay.
	rm -rf $(VENV) $(MILVUS_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Scrubjay needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	@touch $@

$(MILVUS_VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(MILVUS_VENV)
	$(MILVUS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(MILVUS_VENV)/bin/python -m pip install --quiet --group milvus-server
	@touch $@
