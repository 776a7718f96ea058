# Every target sets up what it needs on a machine with Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
NODE := $(BIN)/node
INSPECTOR := @modelcontextprotocol/inspector@2.12.0
TOKENIZER := gpt-tokenizer@4.0.0

.PHONY: demo test check manifest benchmark clean

demo: .venv/installed
	@$(BIN)/salesos-inbox-mcp demo

test: .venv/tested
	$(BIN)/pytest

check: .venv/tested
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/salesos-inbox-mcp manifest --check

manifest: .venv/installed
	$(BIN)/salesos-inbox-mcp manifest

benchmark: .venv/tested
	$(BIN)/python benchmarks/run.py

# The product alone: what a user needs.
.venv/installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

# With what the tests and checks need: linters, Node (from PyPI), the official inspector, a token counter, and
# Chromium where Debian's packages can be installed; without it the tests of the approval page in a browser are skipped.
.venv/tested: .venv/installed Makefile
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm install --silent --no-audit --no-fund --no-save --no-package-lock --prefix .node $(INSPECTOR) $(TOKENIZER)
	@command -v chromium > /dev/null || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null; } \
		|| echo "Chromium is not installed, so the tests of the approval page in a browser will be skipped."
	@touch $@

clean:
	rm -rf .venv .node .corpora
