# One environment for everything: `make demo` runs the main job, `make test` passes the tests.
# TORCH may be set to another build, for example TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu".
PYTHON ?= python3.11
TORCH ?= torch==2.13.0
BIN := .venv/bin
STAMP := .venv/.installed
# Threads that wait by sleeping: on shared cores, spinning ones make small models several times slower.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test check clean

demo: $(STAMP)
	$(BIN)/python -m acestep.mini.demo -o demo

test: $(STAMP) check
	$(BIN)/python -m pytest

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
	rm -rf .venv demo
