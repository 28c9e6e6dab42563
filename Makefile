# Every target sets up what it needs: on a fresh machine `make bench` or `make test` is the only command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
SOURCES := targets scenarios harness reports loopmark tests

.DEFAULT_GOAL := help
.PHONY: help setup bench smoke bench-report bench-recording bench-starved bench-disturbed bench-steady-state bench-series bench-driver bench-driver-against bench-locustfiles bench-delays bench-workers bench-events bench-uploads bench-probe bench-conclusions bench-effects bench-same test test-pythons fuzz mutants check format lock clean bench-pitfalls bench-probe-short bench-probe-signals

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

setup: $(STAMP) ## Build .venv from requirements.lock

# The stamp is written last: an interrupted installation is taken up again by the next call.
# --no-compile halves the time: modules are compiled when they are first imported, most never are.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "loopmark needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bench: $(STAMP) ## Measure sync against async (6 minutes) and write results/latest/report/index.html
	$(BIN)/loopmark run --profile quick

smoke: $(STAMP) ## The same in 75 seconds: does everything work here?
	$(BIN)/loopmark run --profile smoke

bench-report: $(STAMP) ## How long a report on a million samples takes
	$(BIN)/python tests/bench/analysis_at_scale.py

bench-recording: $(STAMP) ## How much memory the driver needs for ten million samples
	$(BIN)/python tests/bench/recording_at_scale.py

DRIVER ?= native
bench-starved: $(STAMP) ## Is a starved driver noticed, and only a starved one? DRIVER=native or locust (5 minutes)
	$(BIN)/python -m tests.bench.starved_driver 20 $(DRIVER)

bench-delays: $(STAMP) ## Do the bounds of a starved driver's delay hold the truth? (6 minutes)
	$(BIN)/python -m tests.bench.delay_bounds

bench-locustfiles: $(STAMP) ## What Locust's clients add, and its own examples: EXAMPLES=folder (10 minutes and 8), into docs/locust-accuracy.md
	$(BIN)/python -m tests.bench.locustfiles $(if $(EXAMPLES),--examples $(EXAMPLES))

bench-disturbed: $(STAMP) ## What others take of the processors, quiet and beside neighbours (10 minutes)
	$(BIN)/python -m tests.bench.disturbances

bench-series: $(STAMP) ## How often numbers of a series are misjudged, on simulated rounds
	$(BIN)/python tests/bench/series_calibration.py

bench-steady-state: $(STAMP) ## How often steadiness is misjudged, on simulated windows (some minutes)
	$(BIN)/python tests/bench/steady_state_calibration.py

bench-driver: $(STAMP) ## The driver against its peers (about 13 minutes): CPU per request and accuracy, into docs/driver.md
	$(BIN)/python -m tests.bench.driver

bench-driver-against: $(STAMP) ## CPU per request of our drivers against those of another checkout: OTHER=folder (8 minutes)
	$(BIN)/python -m tests.bench.driver_against $(OTHER)

bench-workers: $(STAMP) ## Are two workers worth twice one, and is no sample lost? (7 minutes), into docs/workers.md
	$(BIN)/python -m tests.bench.workers

bench-events: $(STAMP) ## Events to many, and files at once (25 minutes), into docs/fan-out.md
	$(BIN)/python -m tests.bench.events

bench-uploads: $(STAMP) ## What ten uploads of 100 MB at once cost a server (2 minutes), into docs/uploads.md
	$(BIN)/python -m tests.bench.uploads

bench-probe: $(STAMP) ## Who finds the line that blocks an event loop, and at what cost (25 minutes), into docs/probe.md
	$(BIN)/python -m tests.bench.probe

bench-conclusions: $(STAMP) ## What `make bench` concludes quiet and beside busy neighbours, three times (an hour), into docs/conclusions.md
	$(BIN)/python -m tests.bench.conclusions profiles --runs 3

bench-effects: $(STAMP) ## What connection tests, drivers, dependencies and thread pools cost (17 minutes), into docs/bias.md
	$(BIN)/python -m tests.bench.effects

bench-same: $(STAMP) ## How often async is found different from itself (40 minutes), into docs/same-against-same.md
	$(BIN)/python -m tests.bench.conclusions same --runs 12

# More processes than a small machine has processors: many tests wait for what they have started.
test: $(STAMP) ## Run all tests
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

# Of pyenv or on the PATH; each gets an environment of its own. Tests that start no servers.
PYTHONS ?= $(foreach version,3.11 3.12 3.13 3.14,$(or \
    $(lastword $(wildcard $(HOME)/.pyenv/versions/$(version).*/bin/python$(version))), \
    $(shell command -v python$(version))))
FAST := tests/test_wheel.py tests/harness/vocabulary tests/harness/planning tests/harness/analysis tests/scenarios tests/reports
test-pythons: ## On each Python from 3.11 that is found: fast tests, and the smoke profile from a wheel (4 minutes each)
	@for python in $(PYTHONS); do \
	    venv=.venv-$${python##*/python}; \
	    echo "$$($$python --version), in $$venv"; \
	    $(MAKE) --no-print-directory setup PYTHON=$$python VENV=$$venv && \
	    LOOPMARK_TEST_SMOKE=1 $$venv/bin/python -m pytest -n 2 --dist loadfile $(FAST) || exit; \
	done

bench-pitfalls: $(STAMP) ## Is every pitfall detected and no twin accused, quiet and busy? (25 minutes), into docs/pitfalls-detected.md
	$(BIN)/python -m tests.bench.pitfalls

bench-probe-short: $(STAMP) ## Does the probe find a block of 60 ms that comes once a second? (2 minutes)
	$(BIN)/python -m tests.bench.probe.short_blocks

# Of each Python as above.
bench-probe-signals: $(STAMP) ## Do signals that ask for stacks crash a busy target? 100,000 on each Python (10 minutes)
	@for python in $(PYTHONS); do \
	    venv=.venv-$${python##*/python}; \
	    $(MAKE) --no-print-directory setup PYTHON=$$python VENV=$$venv && \
	    $(BIN)/python -m tests.bench.probe.signals --python $$venv/bin/python || exit; \
	done

# Property tests only, with examples that are new in each run; FUZZ names files or folders.
FUZZ ?= tests
fuzz: $(STAMP) ## Look for inputs that break a property, with new and ten times as many examples (many minutes)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m hypothesis --hypothesis-profile=fuzz $(FUZZ)

# A mutant is a small mistake in harness/analysis or harness/planning.
MUTANTS ?= 400
SEED ?= 1
mutants: $(STAMP) ## How many small mistakes in the analysis do its tests notice? (30 minutes), into results/mutants
	$(BIN)/python -m tests.bench.mutants --mutants $(MUTANTS) --seed $(SEED)

check: $(STAMP) ## Lint and type-check
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: ## Resolve the dependencies again and write requirements.lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	    --generate-hashes --upgrade --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
	    --custom-compile-command 'make lock' --output-file requirements.lock
	@# The newest Python is to find a wheel of each.
	$(VENV)-lock/bin/uv pip compile requirements.lock --python-version 3.14 --only-binary :all: --quiet >/dev/null
	rm -rf $(VENV)-lock

clean: ## Remove the environment and caches, keep results/
	rm -rf $(VENV) $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info tests/targets/javascript/node_modules
