# Each target is a line or two over the project's own commands; `make help` lists them.
PYTHON ?= python3
REPO ?=
REF ?=
VENV := .venv/bin
export PATH := $(CURDIR)/$(VENV):$(PATH)

.PHONY: help setup engine bases run test test-without-engine test-images test-services test-fast fuzz failures lint browser golden locks pictures bench bench-service

help:            ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

# Compiled, as pip leaves what is not editable: from source alone each command starts 0.06 s later.
setup: .venv/ready ## .venv with launchyard in it
	@$(VENV)/python -m compileall -q builder detectors launcher

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --require-hashes --requirement requirements.lock
	$(VENV)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

engine:          ## a Docker engine that answers, and base images
	fixtures/bases/engine
	$(PYTHON) fixtures/bases/build.py

run: setup engine ## the build service on loopback; with REPO (and REF; or REPO=example), a session of that repository
	$(if $(REPO),launchyard run $(if $(filter example,$(REPO)),$$(fixtures/example),$(REPO)) $(if $(REF),--ref $(REF)),launchyard serve)

test:            ## everything, two at a time; what needs no engine runs while the engine and the base images are made
	$(MAKE) --jobs=2 --output-sync=target test-images test-services

test-without-engine: setup
	LAUNCHYARD_CONFIG=/dev/null pytest -m "not engine and not browser"

test-images: bases test-without-engine
	pytest -m "engine or browser" tests/images

test-services: bases lint
	pytest -m "engine or browser" --ignore=tests/images

bases: engine
	$(MAKE) browser
	$(PYTHON) fixtures/bases/build.py --all

test-fast: setup ## unit and golden tests: no engine, and no service
	pytest -m "not engine and not browser and not hostile and not service"

SECONDS ?= 600
fuzz: setup      ## look for input that nobody thought of, for SECONDS (600); what is found is kept as a case
	python -m tests.hostile.fuzz $(SECONDS)

failures: setup  ## write the page of real failures anew, from the fixtures
	python -m tests.page

lint: setup      ## types, style, format
	ruff check . && ruff format --check . && mypy

browser:         ## Chromium for the browser tests
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq -y chromium >/dev/null; }

golden: setup    ## write the golden plans and Dockerfiles anew; read the diff
	python -m tests.refresh

COMPILE := uv pip compile --quiet --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url --python-version 3.11
locks: setup     ## pin the newest versions of everything again
	$(COMPILE) --universal pyproject.toml --extra test --extra build --output-file requirements.lock
	for lock in templates/parents/locks/*.in; do $(COMPILE) $$lock --output-file $${lock%.in}.txt; done

pictures: setup engine browser ## the README's pictures
	command -v tmux >/dev/null || apt-get install -qq -y tmux >/dev/null
	python docs/pictures.py

bench: setup engine ## Launchyard beside a hand-written Dockerfile
	python -m benchmarks.side_by_side

bench-service: setup engine ## the build service under load: delays, memory, start
	python -m benchmarks.service
