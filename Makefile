PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup setup-dev run test check bench bench-growth bench-loops screenshot soak clean

setup: .venv/.ready ## what running needs, in .venv

setup-dev: .venv/.ready-dev ## what tests, checks and benchmarks need besides

.venv/.ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.txt requirements-postgresql.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

run: setup ## serve on http://127.0.0.1:8000
	$(BIN)/python app.py

test: setup-dev ## all tests, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not soak"

check: setup-dev ## what CI runs: lint, types, tests with coverage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not soak" --cov --cov-report=term-missing

bench: setup-dev ## speed, as ratios measured side by side
	$(BIN)/python bench/bench.py
	$(BIN)/python bench/events.py

bench-growth: setup-dev ## what 250,000 jobs change, on both databases
	$(BIN)/python bench/growth.py

screenshot: setup-dev ## docs/dashboard.png, by the Chromium of this machine
	$(BIN)/python bench/screenshot.py

bench-loops: setup-dev ## our loops beside those of PyMusicLooper
	$(BIN)/python bench/loops.py

soak: setup-dev ## all tests, crashes and load in full: an hour or so
	THOROUGH=1 $(BIN)/python -m pytest --timeout 3600

clean: ## forget the virtual environment and caches
	rm -rf .venv .venv-pymusiclooper .bench-music .pytest_cache .mypy_cache .ruff_cache .coverage* .hypothesis
