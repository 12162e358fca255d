# One environment for everything: `make demo` runs the main job, `make test` passes the tests.
# TORCH may be set to another build, for example TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu".
# WORKERS is how many files are tested at a time, each on one core.
PYTHON ?= python3.11
TORCH ?= torch==2.13.0
BIN := .venv/bin
WORKERS ?= 2
STAMP := .venv/.installed
# Threads that wait by sleeping: on shared cores, spinning ones make small models several times slower.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test check screenshots browser clean

demo: $(STAMP)
	$(BIN)/python -m acestep.mini.demo -o demo

test: $(STAMP) check browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# Pages are tested in Debian's Chromium; without one those tests are skipped, but not where CI=true
browser:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; \
	fi || echo "chromium could not be installed"

screenshots: $(STAMP) browser
	$(BIN)/python scripts/screenshots.py -o docs

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps beat_this
	touch $(STAMP)

clean:
	rm -rf .venv demo test-artifacts
