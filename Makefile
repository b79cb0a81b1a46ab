# Every target of Beejan; CI calls the same ones. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types notebooks export-check unit bench fuzz crash soak lock docs-schema clean
BIN := .venv/bin

help:  ## list every target
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

setup:  ## make .venv with everything in it (the other targets do this by themselves)
	@sh tools/bootstrap.sh

demo: setup  ## the main job on synthetic complaints of four channels; ends with the path of a report
	@$(BIN)/beejan demo demo

test: lint types export-check notebooks unit  ## everything that must hold

lint: setup  ## ruff on notebooks, package, tests and bench
	@$(BIN)/ruff check -q nbs pipelines beejan tests bench tools
	@$(BIN)/ruff format -q --check nbs pipelines tests bench tools

types: setup  ## mypy on the exported package
	@$(BIN)/mypy --no-error-summary

export-check: setup  ## the package is what the notebooks export
	@sh tools/export-check.sh

notebooks: setup  ## run the library notebooks
	@cd nbs && ../$(BIN)/nbdev_test --n_workers 2

unit: setup  ## pytest
	@$(BIN)/pytest -n 2 --dist worksteal

bench: setup  ## speed and memory, side by side with pandas, dlt and bare DuckDB (minutes)
	@$(BIN)/python bench/end_to_end.py
	@$(BIN)/python bench/near_duplicates.py

fuzz: setup  ## a million hostile records through the main job (minutes)
	@$(BIN)/python tests/soak/fuzz.py

crash: setup  ## kill -9 at 50 random points of ingest and transform (minutes)
	@$(BIN)/python tests/soak/crash.py

soak: fuzz crash  ## all the long checks

lock: setup  ## resolve settings.ini anew into requirements.lock
	@sh tools/lock.sh

docs-schema: setup  ## write the reference of schema, KPIs and commands into docs/
	@$(BIN)/python tools/reference.py

clean:  ## remove what was made here
	rm -rf .venv .uv demo .pytest_cache .ruff_cache .mypy_cache .hypothesis build *.egg-info
