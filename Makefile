# `make demo` and `make test` each work as the first command on a machine that has only Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt

.PHONY: help demo install test test-slow lint bench fidelity clean

help:            ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed     ## Make an environment, install, replay a month of a synthetic market
	@$(BIN)/replay demo
	@printf '%s\n' "" "the command is $(BIN)/replay; '. $(BIN)/activate' puts it on your PATH"

install: $(VENV)/.installed  ## Make an environment and install the command into it

test: $(VENV)/.dev           ## Install what tests need and run them, with coverage; all but the slowest
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" --durations=20 --cov --cov-report=term --cov-fail-under=85

test-slow: $(VENV)/.dev      ## The slowest tests: half a year of real candles, whole documents, natural pace
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

lint: $(VENV)/.dev           ## Format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev          ## Speed and memory, one `name: value` line per figure
	@for program in lockstep runs memory data exchange analyze venues intercept bots; do $(BIN)/python benchmarks/$$program.py || exit 1; done

fidelity: $(VENV)/.dev       ## Compare fills with real trades and a real order book; writes docs/fidelity.md
	$(BIN)/python -m benchmarks.fidelity --write docs/fidelity.md

clean:           ## Remove the environment and caches; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* build *.egg-info

# The interpreter must be new enough before anything is installed: pip's own message comes late and is long.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Replay needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "installing into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "installing into $(VENV) with test tools (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@ $(VENV)/.installed
