# What a person types and what CI calls are the same. Set-up happens by itself: every target makes .venv when it is not there.
.DEFAULT_GOAL := help
.NOTPARALLEL:
BIN := .venv/bin
CODE := nbs notebooks pipelines beejan tests bench tools setup.py
NOTEBOOKS := nbs notebooks pipelines tests bench tools setup.py
BENCHES := end_to_end near_duplicates rules privacy classifier cases topics pages streams spark

.PHONY: help
help: ## print every target with one line
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## make .venv with everything in it (the other targets do so by themselves)
	@sh tools/bootstrap.sh

.PHONY: demo
demo: setup ## the main job on synthetic complaints of four channels; ends with the path of a report
	@$(BIN)/beejan demo demo

.PHONY: test
test: lint export-check notebooks unit ## everything that must hold: the four targets below

.PHONY: lint
lint: setup ## ruff on notebooks, package and tests; mypy on the package
	@$(BIN)/ruff check --quiet --output-format concise $(CODE)
	@$(BIN)/ruff format --quiet --check $(NOTEBOOKS) || { echo "Run \`make format\`."; exit 1; }
	@$(BIN)/mypy --no-error-summary

.PHONY: export-check
export-check: setup ## the package is exactly what its notebooks export, and they are clean
	@$(BIN)/python tools/export_check.py

.PHONY: notebooks
notebooks: setup ## run the library notebooks; warnings are errors
	@$(BIN)/python tools/notebooks.py

.PHONY: unit
unit: setup ## pytest; warnings are errors
	@$(BIN)/pytest -n 2 --dist worksteal

.PHONY: format
format: setup ## format notebooks and code, mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format $(NOTEBOOKS)

.PHONY: export
export: setup ## write the package from its notebooks, and clean them
	@$(BIN)/nbdev_export
	@$(BIN)/nbdev_clean
	@$(BIN)/nbdev_clean --fname pipelines

.PHONY: docs-schema
docs-schema: setup ## write the reference of schema, measures and commands into docs/
	@$(BIN)/python tools/reference.py

.PHONY: docs
docs: setup ## build the site into _docs/ from docs/ and the notebooks, offline (look: python -m http.server -d _docs)
	@$(BIN)/python tools/docs.py

.PHONY: bench
bench: setup ## speed, memory and quality of each part, beside other ways of doing it (half an hour)
	@status=0; for b in $(BENCHES); do echo "== bench/$$b.py"; $(BIN)/python bench/$$b.py || status=1; done; exit $$status

.PHONY: fuzz
fuzz: setup ## a million hostile records through the main job (minutes)
	@$(BIN)/python tests/soak/fuzz.py

.PHONY: crash
crash: setup ## kill -9 at 50 random points of ingest and transform (minutes)
	@$(BIN)/python tests/soak/crash.py

.PHONY: clock
clock: setup ## the clock on real pipelines: asleep for a day, failing and mended, two at once; prints the figures (minutes)
	@$(BIN)/pytest -q -s -p no:xdist tests/test_clock.py

.PHONY: door
door: setup ## 2,000 canaries: none is found outside raw and vault after a full run, nor in any answer (minutes)
	@$(BIN)/python tests/soak/door.py

.PHONY: streams
streams: setup ## kill -9 of consumer and broker while 100,000 messages flow, on NATS and on a Kafka-protocol broker
	@$(BIN)/python tests/soak/streams.py --broker nats
	@$(BIN)/python tests/soak/streams.py --broker kafka

.PHONY: soak
soak: fuzz crash door streams ## the long checks: fuzz, crash, door, and the tests marked soak
	@$(BIN)/pytest -m soak || test $$? -eq 5

.PHONY: lock
lock: setup ## resolve settings.ini into requirements.lock; UPGRADE=1 takes the newest versions
	@$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

.PHONY: hooks
hooks: ## tell git how notebooks merge (nbdev's merge driver, this checkout alone)
	@git config merge.nbdev-merge.name "merge of notebooks, by cell"
	@git config merge.nbdev-merge.driver "$(CURDIR)/$(BIN)/nbdev_merge %O %A %B %P"

.PHONY: clean
clean: ## remove what was made here: .venv, the demo, caches, builds
	@rm -rf .venv .uv demo build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find beejan nbs pipelines tests bench tools -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
