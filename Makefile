PYTHON ?= python3
BIN := .venv/bin
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes -r
# --upgrade: newer releases of what the packages need; the packages themselves have their versions in pyproject.toml.
COMPILE := .venv-lock/bin/uv --quiet pip compile pyproject.toml --upgrade --universal --generate-hashes \
	--system-certs --custom-compile-command "make lock"

# The tests start hundreds of processes. Without bytecode files, each of them would compile all modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup setup-dev run test check bench bench-front bench-growth bench-loops screenshot soak fuzz thorough audit lock clean

setup: .venv/.ready ## make .venv with the packages that the service needs

setup-dev: .venv/.ready-dev ## add the packages for tests, checks and benchmarks

.venv/.ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) requirements.txt
	touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.txt
	$(BIN)/python $(INSTALL) requirements-dev.txt
	touch $@

run: setup ## serve on http://127.0.0.1:8000
	$(BIN)/python app.py

test: setup-dev ## all tests, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not soak"

# RERUNS=5: at most five failed tests run a second time. The log lists each with its traceback.
check: setup-dev ## the checks of CI: lint, types, tests with coverage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not soak" --cov --cov-report=term-missing \
		$(if $(RERUNS),--reruns 1 --reruns-delay 5 --max-suite-reruns $(RERUNS) --rerun-show-tracebacks -raR)

bench: setup-dev .venv-rivals/.ready ## compare the speed with other software: 10 minutes; QUICK=1: a short form, 1 minute
	$(BIN)/python bench $(if $(QUICK),--quick)

.venv-rivals/.ready: bench/requirements.txt
	$(PYTHON) -m venv .venv-rivals
	.venv-rivals/bin/python $(INSTALL) bench/requirements.txt
	touch $@

bench-front: setup-dev ## what a normal client feels beside 2,500 slow and waiting ones; about 3 minutes
	$(BIN)/python bench/front.py

bench-growth: setup-dev ## compare the speed with 1,000 and 250,000 jobs, on both databases
	$(BIN)/python bench/growth.py

screenshot: setup-dev ## take the pictures in docs/ with the Chromium of this machine
	$(BIN)/python bench/screenshot.py

bench-loops: setup-dev ## compare the looper with PyMusicLooper
	$(BIN)/python -m bench.loops

SAFETY := $(addprefix tests/test_,$(addsuffix .py,durability synced disks faults_at_start damage file_identity storage_gone steady attack clock_jumps))

soak: setup-dev ## crashes, faults, load, slow clients and the clock, with the figures of docs/safety.md: about an hour
	THOROUGH=1 $(BIN)/python -m pytest --timeout 3600 $(SAFETY)

fuzz: setup-dev ## 100,000 requests, and walks along the links for an hour, beside the OpenAPI document: two hours
	$(BIN)/python -m pytest -n 2 --timeout 0 -m soak tests/test_contract.py

thorough: setup-dev ## all tests, with more crashes, more load and more examples: several hours
	THOROUGH=1 $(BIN)/python -m pytest --timeout 3600

audit: setup-dev ## known vulnerabilities of the packages; skipped where their database cannot be reached
	$(BIN)/python -m tests.audit

lock: .venv-lock/.ready ## write requirements*.txt from the lists in pyproject.toml, with the hash of every file
	$(COMPILE) --output-file requirements.txt
	$(COMPILE) --constraint requirements.txt --extra postgresql --output-file requirements-postgresql.txt
	$(COMPILE) --constraint requirements.txt --extra postgresql --group dev --output-file requirements-dev.txt
	$(COMPILE) --constraint requirements.txt --extra postgresql --group bench --output-file bench/requirements.txt

.venv-lock/.ready: Makefile
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	touch $@

clean: ## delete the virtual environment and the caches
	rm -rf .venv .venv-lock .venv-rivals .venv-pymusiclooper .bench-music .pytest_cache .mypy_cache .ruff_cache .coverage* .hypothesis
