# make demo   watch it work: install, render pedestrians, pretrain, fine-tune, evaluate
# make demo-vtbr   the same for VTBR: captions teach a ResNet, and the ResNet does re-identification
# make test   the whole test suite
# make test-torchtext   the same on torch 2.3.1, the oldest that is supported, with torchtext; Python 3.10 to 3.12
# make lint   formatting, flake8 and types
# make upstream-check PART=modules/masking/token_masking.py   would TorchMultimodal take this part? PART=all: all of them
# make docs   the documentation, as pages in build/site; a warning is an error
# make bench  speed and memory of training, loading, embedding, ranking and re-ranking, each beside a reference
#
# Each target first makes the virtual environment $(VENV), where it is missing or older than the lists of dependencies.

PYTHON ?= python3
VENV ?= .venv
# constraints.txt has the versions that the tests ran with; PIP_ARGS= installs the newest instead
CONSTRAINTS ?= constraints.txt
PIP_ARGS ?= --constraint $(CONSTRAINTS)
EXTRAS ?= examples
PYTEST_ARGS ?=
# the oldest supported torch has an environment and versions of its own
TORCHTEXT_VENV ?= .venv-torchtext
DEMO_ARGS ?=
# each is benchmarks/NAME.py, which writes its results into $(BENCH_OUT)/NAME.json; 8 GB of memory
BENCHMARKS ?= ranking re_ranking pretraining_step vtbr_step decoding loading embedding
BENCH_OUT ?= runs/bench
# a file or folder of modules/ or transforms/; upstream's old tools have an environment of their own, of Python 3.8 to 3.11
PART ?= all
UPSTREAM_VENV ?= .venv-upstream
UPSTREAM_PYTHON ?= $(PYTHON)

BIN = $(VENV)/bin
SOURCES = torchmultimodal_reid examples tests upstream hubconf.py setup.py docs $(wildcard benchmarks)
LISTS = setup.py $(CONSTRAINTS)

.PHONY: help demo demo-vtbr test test-torchtext lint format types bench docs upstream-check clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(VENV)/.installed
	$(BIN)/python -m examples.demo $(DEMO_ARGS)

demo-vtbr: $(VENV)/.installed
	$(BIN)/python -m examples.demo_vtbr $(DEMO_ARGS)

# the tests' tensors are tiny: a process a core is faster than threads in each operation
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

test-torchtext:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
		|| { echo "torch 2.3.1 needs Python 3.10 to 3.12, $(PYTHON) is $$($(PYTHON) --version 2>&1). Say which: make test-torchtext PYTHON=python3.11"; exit 1; }
	$(MAKE) test VENV=$(TORCHTEXT_VENV) CONSTRAINTS=constraints-torchtext.txt EXTRAS=examples,torchtext

lint: $(VENV)/.installed-dev types
	$(BIN)/python -m ufmt check $(SOURCES)
	$(BIN)/python -m flake8 $(SOURCES)

types: $(VENV)/.installed-dev
	$(BIN)/python -m mypy

bench: $(VENV)/.installed
	set -e; for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name --json $(BENCH_OUT)/$$name.json; done

# the switch silences an advertisement of MkDocs' next version
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

upstream-check: $(VENV)/.installed-dev $(UPSTREAM_VENV)/.installed
	$(BIN)/python -m upstream $(PART) --tools $(UPSTREAM_VENV)

format: $(VENV)/.installed-dev
	$(BIN)/python -m ufmt format $(SOURCES)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1). Say which: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(LISTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_ARGS) --editable ".[$(EXTRAS)]"
	touch $@

$(VENV)/.installed-dev: dev-requirements.txt $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_ARGS) --requirement dev-requirements.txt
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_ARGS) --editable ".[docs]"
	touch $@

$(UPSTREAM_VENV)/.installed: upstream/requirements.txt
	@$(UPSTREAM_PYTHON) -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 12))' \
		|| { echo "Upstream's tools need Python 3.8 to 3.11. Say which: make upstream-check UPSTREAM_PYTHON=python3.11"; exit 1; }
	$(UPSTREAM_PYTHON) -m venv $(UPSTREAM_VENV)
	$(UPSTREAM_VENV)/bin/python -m pip install --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(UPSTREAM_VENV) $(TORCHTEXT_VENV) build *.egg-info .mypy_cache .pytest_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
