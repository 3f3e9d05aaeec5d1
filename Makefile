# One front door: `make help` lists what it opens.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MARK := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install sandbox demo test lint format generate lock bench e2e image clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(MARK) ## make .venv with everything pinned by hash; all the others call it

$(MARK): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "make: Python 3.11 or newer is needed; found %s. Name another with make PYTHON=python3.13" % sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q operator tests
	@touch $@

sandbox: install ## build the sandbox's Kubernetes once (minutes), then start from the cache (seconds)
	$(BIN)/python -m backup_sandbox build

demo: install ## a real backup from nothing: KEEP=1 leaves it running, STOP=1 ends that, KUBECONFIG=file uses your cluster
	@$(BIN)/python demo/demo.py $(if $(filter-out 0,$(KEEP)),--keep) $(if $(filter-out 0,$(STOP)),--stop) $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG))

test: sandbox ## unit, contract and integration tests; ARGS="-k name" picks some
	$(BIN)/python -m pytest $(ARGS)

lint: install ## ruff, mypy --strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## let ruff format and mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: install ## write crds/, docs/reference/ and what manifests/ has of them anew from the models
	$(BIN)/python -m backup_operator crds --out crds --docs docs/reference
	PYTHONPATH=tests $(BIN)/python -m contract.rows docs/reference/api-coverage.md
	$(BIN)/python -m backup_operator crds > manifests/crds/crds.yaml
	$(BIN)/python manifests/generate_chart.py

lock: install ## pin anew, with hashes and without index addresses
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements-dev.lock
	$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -c requirements-dev.lock pyproject.toml -o requirements.lock
	printf 'cyclonedx-python-lib\neditables\nhatchling\n' | $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -c requirements-dev.lock - -o requirements-build.lock

CAPTURES ?= 20000 100000
RESTORES ?= 4000 20000 100000
ROUNDS ?= 3

bench: sandbox ## figures as ratios against a bare client in the same run; CAPTURES, RESTORES: objects, ROUNDS
	@missed=0; export PYTHONPATH=tests; \
	$(BIN)/python benchmarks/capture.py --objects $(CAPTURES) --rounds $(ROUNDS) || missed=1; \
	for objects in $(RESTORES); do $(BIN)/python benchmarks/restore.py --s3 --objects $$objects --rounds $(ROUNDS) || missed=1; done; \
	for other in operating serving data; do $(BIN)/python benchmarks/$$other.py || missed=1; done; \
	if [ -f build/image.tar ]; then $(BIN)/python benchmarks/node.py || missed=1; else echo "bench: no build/image.tar, so nothing is measured on a node: make image"; fi; \
	exit $$missed

e2e: sandbox ## the demo as a test; as root on Linux with containerd, the image and the manifests on a real node, too
	$(BIN)/python demo/demo.py
	PYTHONPATH=tests:image $(BIN)/python tests/e2e/run.py

image: install ## build/image.tar and what it is made of (sbom.cdx.json), without Docker and without a registry (Linux, root, buildah, debootstrap)
	$(BIN)/python image/build.py --out build/image.tar

clean: ## remove what the other targets made here, the demo's processes included
	@if [ -x $(BIN)/python ] && [ -d .demo ]; then $(BIN)/python demo/demo.py --stop; fi
	rm -rf $(VENV) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
