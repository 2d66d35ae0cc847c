# Everything a developer runs. Each target sets up what it needs first.

VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint bench setup lock clean

demo: setup          ## the whole life of a product; EXIT=1 SEED=n CAMERA=name WORK=folder
	@$(BIN)/python examples/digits/demo.py $(if $(EXIT),--exit) $(if $(SEED),--seed $(SEED)) \
		$(if $(CAMERA),--camera $(CAMERA)) $(if $(WORK),--work $(WORK))

test: setup          ## all tests; ARGS go to pytest
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup          ## style, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup         ## each benchmark beside what it is measured against
	@$(BIN)/python benchmarks/bench_loop.py
	@$(BIN)/python benchmarks/bench_snapshot.py
	@$(BIN)/python benchmarks/bench_sources.py
	@$(BIN)/python benchmarks/bench_import.py
	@$(BIN)/python benchmarks/bench_tune.py

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml runtime/pyproject.toml tools/environment.sh
	@sh tools/environment.sh $(VENV)
	@touch $@

lock: setup          ## pin anew, within the ranges of the two pyproject.toml
	@$(BIN)/python tools/lock.py

clean:
	rm -rf $(VENV)
