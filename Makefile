# Two commands do everything on a fresh machine:
#   make talk    sets up and starts a conversation in the browser
#   make test    sets up and runs all tests
# Everything goes into .venv; PYTHON chooses the interpreter (3.11 or later).

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin

# Tests that only compute, on virtual clocks, run two at a time; all others are about what happens in real time.
COMPUTED := $(addprefix tests/, audio floor models protocol session terminal)

.PHONY: talk test check floor clean

talk: $(VENV)/talk.stamp
	@scripts/system-packages talk
	$(BIN)/duologue talk

test: $(VENV)/test.stamp $(VENV)/clients.stamp check
	@scripts/system-packages test
	$(BIN)/python -m pytest -n 2 --dist loadfile $(COMPUTED)
	$(BIN)/python -m pytest $(COMPUTED:%=--ignore=%)

check: $(VENV)/test.stamp
	$(BIN)/ruff check src tests
	$(BIN)/mypy

# The floor's picture is drawn from its table.
floor: $(VENV)/test.stamp
	$(BIN)/python -m duologue.floor > docs/floor.md

$(VENV)/talk.stamp: pyproject.toml | $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[voice]'
	@touch $@

# PyTorch first, so that nothing that needs it chooses another; on a machine with its own index for CPU builds:
#   make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
$(VENV)/test.stamp: pyproject.toml | $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# Other makers' clients, in an environment of their own inside this one.
$(VENV)/clients.stamp: scripts/stock-clients $(wildcard tests/clients/python/* tests/clients/node/package*.json) | $(VENV)
	scripts/stock-clients $(VENV)
	@touch $@

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "duologue needs Python 3.11 or later; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

clean:
	rm -rf $(VENV) build dist
