# Each target is a line or two over the project's own commands.
PYTHON ?= python3
REPO ?= fixtures/repos/pip_example/repository
VENV := .venv/bin

.PHONY: setup engine run test test-fast bench golden locks lint

setup: .venv/ready            ## .venv with launchyard in it

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
