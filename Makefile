# The two commands of a newcomer: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE ?= manifests/samples/01-first-study.yaml
export PYTHONPATH := operator:trainer_image:.

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-unit test-cluster test-trainer test-e2e lint format generate lock cluster cluster-down

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Run a sample study on a real Kubernetes, to its conclusion (SAMPLE=… chooses another)
	@$(BIN)/python -m hack.demo run --sample $(SAMPLE)

demo-down: $(VENV)/.installed ## Remove everything that the demo created
	@$(BIN)/python -m hack.demo down

test: lint test-unit test-cluster test-trainer test-e2e ## Run all layers of tests

test-unit: $(VENV)/.installed ## Pure tests, in seconds
	@echo "== unit and component tests: nothing but Python (seconds)"
	@$(BIN)/pytest -q tests/unit tests/component

test-cluster: $(VENV)/.installed ## Tests against a real API server, without nodes
	@echo "== cluster tests: a real etcd and API server (minutes; the first time their binary is built)"
	@$(BIN)/pytest -q tests/cluster

test-trainer: $(VENV)/.installed ## The trainer's tests, in the trainer image
	@echo "== trainer tests: PyTorch, in the trainer image"
	@$(BIN)/python -m hack.trainer_tests

test-e2e: $(VENV)/.installed ## End-to-end tests on kind: real pods, a real Prometheus
	@echo "== end-to-end tests: kind, real pods, a real Prometheus (minutes; the first time everything is built)"
	@$(BIN)/pytest -q tests/e2e

lint: $(VENV)/.installed ## Check style, types, layers, and that generated files are current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy operator/tuning_contract operator/tuning_operator operator/tuning_cli trainer_image/tuning_trainer hack benchmarks examples tests
	@$(BIN)/lint-imports --no-cache > $(VENV)/lint-imports.log || (cat $(VENV)/lint-imports.log; exit 1)
	@$(BIN)/python -m hack.generate --check

format: $(VENV)/.installed ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

generate: $(VENV)/.installed ## Write the CRDs, roles, policies, dashboards and the API reference from their sources
	@$(BIN)/python -m hack.generate

lock: ## Renew the hash-locked requirements from requirements/*.in (needs uv)
	cd requirements && for name in operator cli dev trainer; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $$name.in -o $$name.txt; done
	cd examples/lightning && uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --excludes excludes.txt requirements.in -o requirements.txt

cluster: $(VENV)/.installed ## Bring up the local cluster alone
	@$(BIN)/python -m hack.cluster up

cluster-down: $(VENV)/.installed ## Delete the local cluster
	@$(BIN)/python -m hack.cluster down

$(VENV)/.installed: requirements/dev.txt
	@echo "Installing the locked development requirements into $(VENV) (about a minute, once) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, and this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
