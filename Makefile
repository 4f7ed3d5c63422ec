# The whole workflow; `make help` lists it. Needs only Python (3.11 or newer, with venv) and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Oumi reports each run to its makers unless told not to.
export DO_NOT_TRACK := 1
# Oumi imports thousands of modules: without bytecode every start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint types format coverage soak lowest dist docs drawing bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run Oumi online and in batch against the emulator; no key needed
	@$(BIN)/oumi-fireworks emulator exec -- $(BIN)/python demo/demo.py

test: lint types ## lint, format check, types, tests
	$(BIN)/python -m pytest -n 3 --dist loadfile

lint: $(READY) ## lint and format check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## check the types
	$(BIN)/mypy

coverage: $(READY) ## run the tests; show which lines none of them runs
	$(BIN)/python -m pytest -n 3 --dist loadfile --cov --cov-report=term-missing:skip-covered

soak: $(READY) ## run the long campaigns that `make test` leaves out: an hour or more
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python -e '.[ray]'
	$(BIN)/python -m pytest -m soak --timeout 1800

format: $(READY) ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lowest: $(READY) ## run the tests with the lowest versions that pyproject.toml allows
	rm -rf .venv-lowest
	$(BIN)/python -m venv .venv-lowest
	$(BIN)/python -m uv pip install --quiet --python .venv-lowest/bin/python \
		--resolution lowest-direct -e '.[dev]'
	.venv-lowest/bin/python -m pytest -n 3 --dist loadfile

dist: $(READY) ## build wheel and sdist, install both, run the sdist's tests
	$(BIN)/python -m tests.plugin.check_dist -n 2 --dist loadfile

docs: $(READY) ## build the site of the documentation into site/, and check its links
	@$(BIN)/python -c 'import mkdocs, material, mkdocstrings' 2>/dev/null || \
		$(BIN)/python -m uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Read it: site/index.html"

drawing: $(READY) ## draw docs/architecture.svg from the source
	$(BIN)/python -m docs.draw_architecture

bench: $(READY) ## run the benchmarks
	$(BIN)/python benchmarks/online.py
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/command_line.py
	$(BIN)/python benchmarks/run_stages.py
	$(BIN)/python benchmarks/tables.py
	$(BIN)/oumi-fireworks emulator exec -- $(BIN)/python benchmarks/blocks.py

clean: ## remove caches and output; the virtual environment stays (rm -r .venv removes it)
	rm -rf build dist site .venv-lowest .coverage* demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Oumi brings torch: several gigabytes. With uv that takes about a minute, with pip several; so uv
# is used where it can be had and reaches an index (it does not read pip's configuration).
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("oumi-fireworks needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "Setting up .venv with $(PYTHON): once, some minutes, several gigabytes ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet -c constraints.txt uv || true
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]' \
		|| { echo "uv could not install; with pip it takes several minutes ..."; \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'; }
	@touch $@
