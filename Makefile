# `make demo` and `make test` do all set-up themselves. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo app test lint format bench system clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,postgres]"
	touch $(STAMP)

demo: setup
	$(BIN)/curate demo

app: setup
	$(BIN)/curate app $(if $(PROJECT),"$(PROJECT)",.)

# Chromium and PostgreSQL from the distribution's packages, where this user may install them.
system:
	bash tests/install_system.sh

test: setup system lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/audit_dependencies.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/curate bench --help

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-site
