# Needs Python 3.11+ and make, nothing else. Everything goes into .venv and .cordboard, both git-ignored.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export DO_NOT_TRACK := 1

.PHONY: demo test lint bench bench-flows bench-starts chaos chaos-cluster up screenshot lock docs clean

demo: $(STAMP)  ## set up and run the example chain against a local sandbox
	@$(BIN)/python -m deployments.demo

test: export PYTHONDONTWRITEBYTECODE :=  # else every process compiles all of it anew: half of what collecting takes
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

chaos-cluster: $(STAMP)  ## several servers and workers, each killed while it works (needs PostgreSQL, redis-server, unshare)
	@$(BIN)/python -m bench.cluster $(ARGS)

up: $(STAMP)  ## all of it on this machine, with a sandbox; TENANT=1 with your tenant, RENEW=1 asks for its login anew
	@$(BIN)/python -m deployments.up $(if $(TENANT),--tenant) $(if $(RENEW),--renew)

screenshot: $(STAMP)  ## pictures of the Prefect UI over `make up`, for a person to look at (needs Chromium)
	@$(BIN)/python -m tests.deployments.screens $(ARGS)

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
