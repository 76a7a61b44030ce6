# The two commands: `make demo` and `make test`. Both make their own environment in ./.venv on first use.
# Every path here is relative, so that a checkout under a path with spaces works.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
WORKERS ?= 2
PY := .venv/bin/python
STAMP := .venv/.installed
PYTEST := $(PY) -m pytest -q
# Where programs must be compiled as users compile them (tests marked `optimized`): XLA's own default.
FULL_XLA := XLA_FLAGS=--xla_backend_optimization_level=3

.PHONY: help demo demo-full test test-slow test-all test-peers bench-env lint format types wheel native env clean distclean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):[^#]*## ?(.*)/  make \1|\2/' | column -t -s '|'

demo: $(STAMP)  ## Fashion-MNIST from data to report, within ten minutes on two cores
	@$(PY) -m examples.fashion_mnist.demo $(ARGS)

demo-full: $(STAMP)  ## the same with every image, step and resample
	@$(PY) -m examples.fashion_mnist.demo --full $(ARGS)

test: $(STAMP)  ## the suite without its slow part
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not slow and not optimized and not peers" $(ARGS)
	$(FULL_XLA) $(PYTEST) -m "optimized and not slow" $(ARGS) || [ $$? -eq 5 ]  # 5: ARGS selects none of these

test-slow: $(STAMP)  ## the slow part of the suite
	$(FULL_XLA) $(PYTEST) -m slow $(ARGS) || [ $$? -eq 5 ]

test-all: $(STAMP)  ## the whole suite, every network in every form under every method
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not optimized" $(ARGS)
	$(FULL_XLA) $(PYTEST) -m optimized $(ARGS) || [ $$? -eq 5 ]

test-peers: bench-env  ## agreement with Captum, Zennit, pytorch-grad-cam and shap
	$(PYTEST) -m peers tests/benchmarks $(ARGS)

# Zennit and pytorch-grad-cam ask for torchvision, which they hardly use and which would bring a PyTorch of its own; so
# they come without their dependencies, and benchmarks/against stands in for what they import. A PyTorch that is
# installed in the pinned version stays, such as one for CPUs, whose wheels are ten times smaller.
bench-env: $(STAMP)  ## the peers of the benchmarks, into .venv
	@echo "Installing the peers into .venv (once) ..."
	@$(PY) -m pip install --disable-pip-version-check --quiet -e ".[bench,dev]" -c constraints.txt
	@$(PY) -m pip install --disable-pip-version-check --quiet --no-deps zennit grad-cam ttach -c constraints.txt

lint: $(STAMP)  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMP)  ## let ruff rewrite the sources
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(STAMP)  ## mypy
	$(PY) -m mypy

wheel: $(STAMP)  ## build the wheel, install it elsewhere, use it there
	@bash .ci/wheel_test

# Headers of the installed jaxlib: what is built with newer ones would be refused by it.
native: $(STAMP)  ## optional: convolutions on CPUs by oneDNN, built into .venv and tested
	@[ "$$(uname -sm)" = "Linux x86_64" ] || { \
	  echo "make native: oneDNN is packaged for Linux on x86_64, and this is $$(uname -sm). jaxplain works without it."; exit 2; }
	@command -v "$${CXX:-c++}" >/dev/null || { \
	  echo "make native needs a C++17 compiler, and there is no $${CXX:-c++}. jaxplain works without it."; \
	  echo "Install one (Debian, Ubuntu: apt-get install g++) or name another: make native CXX=/path/to/compiler"; exit 2; }
	@echo "Building jaxplain-native (a minute; downloads oneDNN, 40 MB) ..."
	@PIP_BUILD_CONSTRAINT=constraints.txt $(PY) -m pip install --disable-pip-version-check --quiet ./kernels/native
	$(PYTEST) tests/native $(ARGS)

env: $(STAMP)  ## only the environment

# The stamp carries the time of the last complete installation; an interrupted one leaves none and is done again.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "jaxplain needs Python 3.11 or later; '$(PYTHON)' is none."; \
	  echo "Install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv) or name one: make PYTHON=/path/to/python3.11"; \
	  exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "'$(PYTHON)' comes without venv and ensurepip, which make the environment."; \
	  echo "Install them (Debian, Ubuntu: apt-get install python$$version-venv) or name another Python: make PYTHON=..."; \
	  exit 2; }
	@echo "Installing into .venv (once; some minutes, about 1.5 GB) ..."
	@"$(PYTHON)" -m venv .venv
	@$(PY) -m pip install --disable-pip-version-check --quiet --progress-bar on -e ".[dev]" -c constraints.txt
	@touch $@

clean:  ## remove caches and build outputs
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## also the environment and the demo's runs
	rm -rf .venv runs
