# Needs Python 3.11+ and make, nothing else. Everything goes into .venv and .cordboard, both git-ignored.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export DO_NOT_TRACK := 1

.PHONY: demo test lint bench bench-flows bench-starts chaos up screenshot lock docs clean

demo: $(STAMP)  ## set up and run the example chain against a local sandbox
	@$(BIN)/python -m deployments.demo

test: $(STAMP)  ## set up and run the tests, in one process more than there are cores, as many of them wait
	@$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)') $(ARGS)

lint: $(STAMP)  ## style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(STAMP)  ## ratios against plain asyncio, a naive flow and the physical limit
	@$(BIN)/python -m bench.chain $(ARGS)

bench-flows: $(STAMP)  ## call flows: checks and merges against their size, simulations against a bare walk, many writers
	@$(BIN)/python -m bench.topology
	@$(BIN)/python -m bench.simulate
	@$(BIN)/python -m bench.merge
	@$(BIN)/python -m bench.writers --edits 10

bench-starts: $(STAMP)  ## workflow starts: against the physical limit and a bare client, and under a limit of instances
	@$(BIN)/python -m bench.trigger
	@$(BIN)/python -m bench.limit

chaos: $(STAMP)  ## batches whose workers are killed while the vendor fails at random; a checker of its own judges
	@$(BIN)/python -m bench.chaos $(ARGS)

up: $(STAMP)  ## server, worker and sandbox on this machine, blocks and deployments registered
	@$(BIN)/python -m deployments.up

screenshot: $(STAMP)  ## the run page of the Prefect UI in a real browser (needs Chromium)
	@$(BIN)/python -m pytest -m browser -n0 tests/flows/test_in_a_browser.py tests/cordboard/ivr/reports/test_page_in_a_browser.py

docs: $(STAMP)  ## the documentation with the API reference as a site in .cordboard/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lock:  ## renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --extra dev --extra docs --extra telemetry --extra cluster --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock

clean:
	rm -rf .venv .cordboard

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cordboard needs Python 3.11 or later; set PYTHON=/path/to/python3.11")'
	@echo "Setting up .venv from requirements.lock (about a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
