# Every target sets up what it needs: `make test` on a fresh checkout needs Python 3.11 or newer and the package registry.
# Another Python: make PYTHON=python3.13 test

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

MAKEFLAGS += --no-print-directory
.PHONY: help setup demo test lint coverage clean

help:
	@echo 'make demo      one server and one client, talking: examples/demo.py'
	@echo 'make test      the unit and property tests (without those marked slow or interop)'
	@echo 'make lint      ruff, and mypy as for the oldest and the newest Python'
	@echo 'make coverage  which normative statements of the specification the tests cover'
	@echo 'make setup     only the virtual environment, in $(VENV)'

setup:
	@$(PYTHON) tools/environment.py $(VENV)

demo: setup
	@$(RUN) examples/demo.py

test: setup
	@$(RUN) -m pytest -q -p no:cacheprovider -m 'not interop and not slow'

lint: setup
	@status=0; \
	$(RUN) -m ruff check . || status=1; \
	$(RUN) -m mypy --python-version 3.11 || status=1; \
	$(RUN) -m mypy --python-version 3.13 || status=1; \
	exit $$status

coverage: setup
	@$(RUN) tools/spec_coverage.py

clean:
	rm -rf $(VENV) .venv-3.* .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
