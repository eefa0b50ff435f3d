# The environment is kept in .venv and is made once; it is brought up to date when a lock changes.
#   make demo    everything from nothing to results, on simulated data
#   make test    what must pass before a change is taken

# The first Python on this machine that the locked packages support.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
# Apache Superset pins other versions than the warehouse: it is a client like any other, in an environment of its own.
VENV_BI := .venv-bi
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --require-virtualenv
# dbt and DuckDB are the same for every target; PATH lets dbt and tests find them.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Only what may be said about the machine belongs in a log.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

PACKAGES := soilhouse loaders udfs serving tests benchmarks dbt_soilhouse.py
# Each writes files of the repository from their sources; with --check it only compares.
GENERATORS := soilhouse.ibis_models loaders.products_docs udfs.docs
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help environment environment-dev demo test test-studies test-real-studies test-browser test-postgres test-bi lint format parity bench docs lock clean

help:  ## list the targets
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do printf '  %-14s %s\n' $$t "$$d"; done

environment: $(VENV)/.installed  ## the packages that the warehouse runs with
environment-dev: $(VENV)/.installed-dev  ## and those that its tests need

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Soilhouse needs Python 3.11, 3.12 or 3.13, and none is on the PATH."; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
		echo "Soilhouse needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.python requirements.lock pyproject.toml
	@echo "Installing $$(grep -c == requirements.lock) packages into $(VENV) (a minute or two)"
	@$(PIP) install -qq --require-hashes -r requirements.lock
	@$(PIP) install -qq --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "Installing the tests' packages, Spark among them (a minute or two)"
	@$(PIP) install -qq --require-hashes -r requirements-dev.lock
	@touch $@

demo: environment  ## simulate a basin, load it, build it, show the results
	@$(BIN)/soilhouse demo

test: lint  ## lint, then every test but the Spark run
	@$(BIN)/python -m pytest -n auto --maxprocesses 4

test-browser: environment-dev  ## the report in a real Chromium (Debian, Ubuntu: apt install chromium)
	@$(BIN)/python -m pytest tests/browser/report_in_chromium.py

# Debian's server refuses to run as root: the tests start it as another user. Only root has it installed here, where it is missing.
test-postgres: environment-dev  ## publishing, to a PostgreSQL with PostGIS that the tests start
	@ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 || command -v initdb >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing PostgreSQL and PostGIS with apt-get"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql postgresql-postgis; \
		else echo "PostgreSQL with PostGIS is missing. Debian, Ubuntu: sudo apt-get install postgresql postgresql-postgis"; exit 1; fi; }
	@SOILHOUSE_TEST_POSTGRES=1 $(BIN)/python -m pytest tests/serving/test_publish.py

$(VENV_BI)/.installed: tests/bi/requirements.lock $(VENV)/.python
	@echo "Installing Apache Superset and what it needs into $(VENV_BI) (a minute or two)"
	@$(PYTHON) -m venv $(VENV_BI)
	@$(VENV_BI)/bin/python -m pip --disable-pip-version-check install -qq --require-hashes -r tests/bi/requirements.lock
	@touch $@

test-bi: environment-dev $(VENV_BI)/.installed  ## the dashboards in a real Apache Superset, on the snapshot and on PostgreSQL
	@SOILHOUSE_TEST_BI=$(CURDIR)/$(VENV_BI)/bin/python $(BIN)/python -m pytest tests/bi

test-studies: environment-dev  ## the five papers' studies, whole, over simulated miniatures of their data (some minutes each)
	@$(BIN)/python -m pytest -m studies tests/studies

test-real-studies: environment-dev  ## the studies of real files, loaded and built whole (needs the folder of real files; some minutes each)
	@$(BIN)/python -m pytest tests/marts/real_studies.py

lint: environment-dev  ## style, and that generated files are those that their sources give
	@$(BIN)/ruff check $(PACKAGES)
	@$(BIN)/ruff format --check --quiet $(PACKAGES) || { echo "make format puts that right"; exit 1; }
	@for m in $(GENERATORS); do $(BIN)/python -m $$m --check || exit 1; done

format: environment-dev  ## put the style right, and write generated files anew
	@$(BIN)/ruff check --fix $(PACKAGES)
	@$(BIN)/ruff format $(PACKAGES)
	@for m in $(GENERATORS); do $(BIN)/python -m $$m || exit 1; done

parity: environment-dev  ## the same lake through DuckDB and Spark, compared; then the kernels on Spark (needs Java 17)
	@$(BIN)/python -m tests.parity
	@$(BIN)/python -m pytest -m spark

bench: environment-dev  ## speed and memory beside the peers, in one run; writes benchmarks/results.md
	@$(BIN)/python -m benchmarks

docs: environment  ## dbt's page of every table, column and unit, for reading (generated pages of docs/: make format)
	@$(BIN)/dbt docs generate --static --quiet
	@echo "target/static_index.html is the page of every table and column: open it in a browser"

lock: environment-dev  ## resolve the dependencies anew, with hashes and without addresses
	@$(BIN)/$(LOCK) --extra build -o requirements.lock
	@$(BIN)/$(LOCK) --all-extras -c requirements.lock -o requirements-dev.lock
	@$(BIN)/$(subst pyproject.toml,tests/bi/requirements.in,$(LOCK)) -o tests/bi/requirements.lock
	@echo "$$(grep -c == requirements.lock) packages, with the tests' $$(grep -c == requirements-dev.lock)"

clean:  ## remove what was built (not .venv, not lake/)
	@rm -rf build target logs spark-warehouse metastore_db derby.log .pytest_cache .ruff_cache
	@find $(PACKAGES) -name __pycache__ -type d -prune -exec rm -rf {} +
