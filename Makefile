# Each target is a thin line: the work is in the commands it names. `make venv` is made again when a lock file changes.
VENV    := .venv
PY      := $(VENV)/bin/python
UV      := UV_SYSTEM_CERTS=1 $(VENV)/bin/uv
RUN     := $(VENV)/bin/
CLUSTER ?= local
# Some shells forbid it; then each of the many processes here would compile all that it imports, for seconds.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help venv lock fmt generate check unit test demo bench bench-serving bench-registry clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

venv: $(VENV)/.ready  ## the locked Python environment in .venv
$(VENV)/.ready: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(UV) pip sync --quiet --python $(PY) --require-hashes requirements/dev.txt requirements/bootstrap.txt
	$(UV) pip install --quiet --python $(PY) --no-deps --editable .
	touch $@

lock: venv  ## resolve the dependencies again and write the hash-pinned lock files
	$(RUN)python tools/lock.py

fmt: venv  ## format and fix what can be fixed
	$(RUN)ruff check --fix-only --quiet . && $(RUN)ruff format .

generate: venv  ## write the generated files again: CRD, dashboards, install.yaml, diagram
	$(RUN)python tools/generate.py

check: venv  ## lint, types, import rules, generated files, chart, unit and contract tests
	$(RUN)python tools/check.py

unit: venv  ## the fast tests alone
	$(RUN)pytest tests/unit tests/contract

test: venv  ## everything: the checks, and the tests on a real cluster that it starts itself
	$(RUN)python tools/suite.py

demo: venv  ## a good version goes to production and a bad one comes back, on a real cluster
	$(RUN)serin demo --cluster $(CLUSTER) $(if $(REGISTRY),--registry $(REGISTRY))

bench: venv  ## measure the figures and write docs/benchmarks.md
	$(RUN)python -m pytest tests/bench

bench-serving: venv  ## measure the model server and its peers (an hour; ARGS=--quick: ten minutes)
	PYTHONPATH=tests $(RUN)python -m bench.serving $(ARGS)

bench-registry: venv  ## measure the registry on PostgreSQL and an S3 server (ARGS=--quick: some minutes)
	PYTHONPATH=tests $(RUN)python -m bench.registry $(ARGS)

clean:  ## remove the environment and caches of the tree (the cluster's cache stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
