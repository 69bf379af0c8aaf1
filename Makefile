# Two commands are all a newcomer needs: `make run` and `make test`. Both make .venv on their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Pythons whose newest dependencies `make newest-types` reads.
NEWER ?= 3.14
# How long `make short` may take.
MINUTES ?= 60

.DEFAULT_GOAL := help
.PHONY: help run test tests test-slow test-installs short lint types newest-types format bench results tables audit clean board docs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## Install, then run Video-As-Prompt, its base and the ground truth on the mini suite's camera task
	$(BIN)/vapbench run --method vap --method i2v --method ground-truth --task camera
	@echo "       source $(BIN)/activate"
	@echo "           puts the vapbench command on the path"

test: lint ## Install what tests need; lint, types, tests
	$(MAKE) --jobs 2 types newest-types
	$(MAKE) tests

tests: $(VENV)/installed-dev ## The tests alone
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-slow: $(VENV)/installed-dev ## The long forms of tests
	$(BIN)/python -m pytest -m "slow and not installs"

test-installs: $(VENV)/installed-dev ## The wheel and the lowest bounds in fresh environments: minutes and gigabytes each
	$(BIN)/python -m pytest -m installs

short: $(VENV)/installed-dev ## One clip of each family and a few tests, with every other Python found here
	$(BIN)/python .ci/short_form.py --others --minutes $(MINUTES)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

newest-types: $(VENV)/installed-dev ## Types again, with the newest releases that other Pythons get
	$(BIN)/python .ci/newest_types.py $(NEWER)

format: $(VENV)/installed-dev ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-dev ## Print the speed ratios that the docs quote
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/resume.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/preference.py
	$(BIN)/python benchmarks/study_load.py
	$(BIN)/python benchmarks/study_faults.py
	$(BIN)/python benchmarks/leaderboard.py

audit: $(VENV)/installed-dev ## Ask the advisory services about every installed package; says so where there is no network
	$(BIN)/python .ci/audit.py

# Rows of the mini suite that results/ holds: systems of the paper's table, ablations, and what bounds them.
MINI := vap vap:reference_rope=shared vap:reference=shuffled i2v i2v:captions=plain lora \
	vace-original vace-depth vace-flow ground-truth copy-reference frozen noise

results: $(VENV)/installed ## Make the rows of results/mini anew, in build/rows: a quarter of an hour
	$(BIN)/vapbench run --suite mini --task all $(addprefix --method ,$(MINI)) --results build/rows
	$(BIN)/vapbench run --suite mini --task zero-shot $(addprefix --method ,$(MINI)) --results build/rows

tables: $(VENV)/installed ## Write docs/tables/ from the committed rows
	$(BIN)/python docs/scripts/write_tables.py

board: $(VENV)/installed ## Build the board of the committed rows, with clips made again: minutes the first time (CLIPS=--all: every case; URL=…)
	$(BIN)/vapbench leaderboard redraw --results results $(CLIPS)
	$(BIN)/vapbench leaderboard build --results results $(if $(URL),--url $(URL))

docs: $(VENV)/installed-dev ## Build the documentation site: build/docs/index.html
	$(BIN)/python docs/scripts/write_cli.py
	$(BIN)/zensical build --strict

clean: ## Remove .venv and caches; results stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@
