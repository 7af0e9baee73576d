# ThighSeg. `make help` lists the targets. Everything is installed in .venv; nothing else on the machine changes,
# except that `make test` adds Chromium and R on Debian or Ubuntu where that needs no password (THIGHSEG_NO_APT=1 forbids it).

# The first of these that is new enough; PYTHON=... names another.
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && echo $$p && break; done),python3)
PORT ?= 8501
DATA ?= $(or $(THIGHSEG_DATA),data)
DEMO_DATA ?= data/demo
OUT ?= out
NETWORK ?= manet
# Surfaces, series and drawn slices, as training/README.md says.
SOURCES ?= ../shared/data
# Where pip takes PyTorch from; empty means PyPI. README.md, "Installing", names the index of the CPU-only builds.
TORCH_INDEX_URL ?=
# Two processes of one torch thread each: two threads in each would wait for one another.
PYTEST_ARGS ?= -n 2 --dist loadfile

VENV := .venv
PY := $(VENV)/bin/python
# -t 2: a person is looking, so show what is downloaded.
PIP_INSTALL = $(PY) -m pip install --disable-pip-version-check $$([ -t 2 ] || echo --quiet)
# On a desktop Streamlit opens the browser itself; elsewhere it prints the address.
DESKTOP := $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname -s)))
STREAMLIT = $(PY) -m streamlit run app.py --server.port=$(PORT) --server.showEmailPrompt=false \
	--server.headless=$(if $(DESKTOP),false,true)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo app test lint format docs browser r bench train clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.installed ## make .venv with the pinned requirements

demo: setup ## write a small demo study, segment it and open the dashboard with it
	$(PY) -m training.demo --output "$(DEMO_DATA)/dicom"
	$(PY) -m db.import_list "$(DEMO_DATA)/dicom/subjects.csv" --study Demo --data "$(DEMO_DATA)" --wait
	@THIGHSEG_DATA="$(DEMO_DATA)" $(STREAMLIT)

app: setup ## open the dashboard on the data folder (DATA=data, PORT=8501)
	@THIGHSEG_DATA="$(DATA)" $(STREAMLIT)

test: $(VENV)/.installed-dev browser r lint ## everything that must hold: style, types, tests
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(PYTEST_ARGS); status=$$?; \
	if [ $$status -eq 5 ]; then echo "pytest found no test to run: is tests/ complete?" >&2; fi; \
	exit $$status

lint: $(VENV)/.installed-dev ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: $(VENV)/.installed-dev ## let ruff rewrite the style
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

docs: setup ## write the generated tables of README.md and docs/ anew
	@$(PY) docs/generate.py

# The browser tests use Debian's Chromium; without it they are skipped.
browser:
	@if command -v chromium >/dev/null 2>&1; then exit 0; fi; \
	.ci/install-debian-packages chromium fonts-dejavu-core fonts-liberation || echo "no Chromium: the browser tests will be skipped" >&2

r:
	@if command -v Rscript >/dev/null 2>&1; then exit 0; fi; \
	.ci/install-debian-packages r-base-core r-cran-nlme || echo "no R: the test that reads the export in R will be skipped" >&2

bench: setup ## time measuring a large scan; with SCAN=folder also that scan from files to numbers
	$(PY) -m tests.benchmarks.measure_large_scan
	@if [ -n "$(SCAN)" ]; then bash -c 'time $(PY) -m thighseg_core segment "$$1" --output "$(OUT)/bench"' bench "$(SCAN)"; fi

train: $(VENV)/.installed-dev ## train and ship one network (NETWORK=manet SOURCES=folder with surfaces and scans)
	$(PY) -m training.chain training/configs/$(NETWORK).toml --sources "$(SOURCES)"

clean: ## remove .venv and caches; data, out and runs stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "ThighSeg needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -n 1)." >&2; \
		echo "Install one and name it, for example: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/install-debian-packages python3-venv || true
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.python
	@echo "installing the packages of requirements.txt in $(VENV) (minutes the first time)"
	@if [ -n "$(TORCH_INDEX_URL)" ]; then \
		$(PIP_INSTALL) --index-url $(TORCH_INDEX_URL) $$(grep -E '^(torch|torchvision)==' requirements.txt); fi
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "installing the packages of requirements-dev.txt in $(VENV)"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@
