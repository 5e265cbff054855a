# The workbench needs git, make and Python 3.11 or 3.12; everything else is installed into .venv by these targets.
#   make lab STORE=/path/to/store                 JupyterLab on that store (default: a scratch copy of a sample)
#   make investigate STORE=/path/to/store YES=1   the same walk without a browser; without YES=1 it stops at the plan
#   make test · make lint · make nightly · make bench · make clean

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python

# A path reaches the commands through the environment: spaces, quotes and dollar signs in it mean nothing to the shell.
override STORE := $(value STORE)
export STORE

PYTEST        := $(PY) -P -m pytest
NOTEBOOKS     := --nbval --nbval-current-env --nbval-cell-timeout=120 \
                 --nbval-sanitize-with tests/notebooks/sanitize.cfg
JOBS          ?= 2
PARALLEL      := -n $(JOBS) --dist loadfile
QUICK         := not (slow or browser or oldchroma or minilm or fault)
TESTS         := tests/notebooks notebooks tests/corpus tests/properties tests/unit  # the long files first

.DEFAULT_GOAL := help
.PHONY: help lab investigate test lint lint-rules lint-layout lint-types nightly bench clean install

help:
	@sed -n 's/^#   //p' Makefile

lab: $(VENV)/installed
	@$(PY) -P -m forensics lab $${STORE:+"$$STORE"}

investigate: $(VENV)/installed
	@$(PY) -P -m forensics.lab.investigate $${STORE:+"$$STORE"} $(if $(filter-out 0 no,$(YES)),--yes)

test: $(VENV)/installed-test
	$(PYTEST) $(PARALLEL) $(NOTEBOOKS) -m "$(QUICK)" $(PYTEST_ARGS) $(TESTS)

lint: lint-rules lint-layout lint-types

lint-rules: $(VENV)/installed-dev
	$(VENV)/bin/ruff check --output-format=concise .

lint-layout: $(VENV)/installed-dev
	$(VENV)/bin/ruff format --check .

lint-types: $(VENV)/installed-dev
	$(VENV)/bin/pyright --pythonpath $(PY)

nightly: $(VENV)/installed-test
	$(PY) -P scripts/nightly.py

bench: $(VENV)/installed
	$(PY) -m benchmarks

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ------------------------------------------------------------------------------------------------

install: $(VENV)/installed

$(VENV)/made:
	@$(PYTHON) scripts/check_python.py
	@echo "making $(VENV) (once; one or two minutes) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml constraints.txt
	@$(PY) -m pip install -qq --disable-pip-version-check -e . -c constraints.txt
	@touch $@

$(VENV)/installed-test: $(VENV)/made pyproject.toml constraints.txt
	@$(PY) -m pip install -qq --disable-pip-version-check -e '.[test]' -c constraints.txt
	@touch $(VENV)/installed $@

# pip learnt to read dependency groups in 25.1; the one that comes with Python 3.11 is older.
$(VENV)/installed-dev: $(VENV)/installed-test
	@$(PY) -m pip install -qq --disable-pip-version-check -e '.[test,browser]' -c constraints.txt
	@$(PY) scripts/dependency_group.py dev | xargs $(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt
	@touch $@
