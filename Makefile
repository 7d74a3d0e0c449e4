# Two commands do everything on a bare machine with Python >= 3.11, make and git: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# `venv` is not part of Debian's own python3; twins draw with EGL. PyAV's wheels bring their own FFmpeg.
DEBIAN_PACKAGES := python3-venv
DEBIAN_GRAPHICS := libegl1 libgl1-mesa-dri
ARGS ?=

# Idle OpenMP threads must sleep, not spin: two processes on two cores otherwise take many times as long.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo play page test test-slow lint docs docs-check clean

help:
	@echo "make demo       data -> train -> judge -> report page (ARGS='--data PATH --out DIR --no-browser')"
	@echo "make play       a world in the browser (ARGS='RUN|WORLD --port N')"
	@echo "make test       lint, the floors, every test and every command of the docs"
	@echo "make test-slow  the tests too long for make test"
	@echo "make page       build the player's page from web/ (needs Node.js)"
	@echo "make lint       ruff and import-linter"
	@echo "make docs       write docs/RESULTS.md from the stored rows"
	@echo "make clean      remove .venv"

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python >= 3.11 is needed, {sys.version.split()[0]} found; run: make PYTHON=/path/to/python3.11 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq $(DEBIAN_PACKAGES); \
	else echo "Python's venv is missing; install it with: sudo apt-get install $(DEBIAN_PACKAGES)" >&2; exit 1; fi
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation --editable ".[viz]"
	@touch $@

$(VENV)/installed-all: $(VENV)/installed
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libEGL.so.1")' 2>/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq $(DEBIAN_GRAPHICS); \
	else echo "EGL is missing, with which twins draw; install it with: sudo apt-get install $(DEBIAN_GRAPHICS)" >&2; exit 1; fi
	$(PIP) --no-build-isolation --editable ".[all]"
	$(PIP) --no-deps lerobot stable-worldmodel
	@touch $@

demo: $(VENV)/installed
	$(BIN)/armillary demo $(ARGS)

play: $(VENV)/installed-play
	$(BIN)/armillary play $(ARGS)

$(VENV)/installed-play: $(VENV)/installed
	$(PIP) --no-build-isolation --editable ".[serve]"
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund

page: web/node_modules/.package-lock.json
	cd web && npm run build

test: lint docs-check
	$(BIN)/python -m pytest -q -n 2 --dist worksteal $(ARGS)

# The browser tests skip themselves, and say so, where npm or Chromium cannot be had.
$(VENV)/installed-browser: $(VENV)/installed-all
	$(PIP) --no-build-isolation --editable ".[browser]"
	-@command -v npm >/dev/null && $(MAKE) --no-print-directory web/node_modules/.package-lock.json
	-@command -v chromium >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; fi
	@touch $@

test-slow: $(VENV)/installed-browser
	$(BIN)/python -m pytest -q -n 2 -m slow $(ARGS)

lint: $(VENV)/installed-all
	$(BIN)/ruff check .
	$(BIN)/lint-imports

docs: $(VENV)/installed-all
	$(BIN)/python -m benchmarks.report

docs-check: $(VENV)/installed-all
	$(BIN)/python -m benchmarks.report --check

clean:
	rm -rf $(VENV)
