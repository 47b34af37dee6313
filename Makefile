# make demo    sets up, prepares sample videos and runs the R(2+1)D pipeline on them
# make test    sets up and runs all checks and tests; continuous integration calls this
# make check   formatting, lint and types alone
# make setup   the virtual environment in .venv, with the versions of spec-file.txt
# make data    sample videos in data/videos
# make clean   removes what the above made; run folders in logs/ stay
#
# Needed beforehand: Python >= 3.10 with venv, and make. Another Python: make setup PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.spec-file-installed
HAS_GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)
SPECS := spec-file.txt $(if $(HAS_GPU),spec-file-gpu.txt)
DEMO_CONFIG ?= config/$(if $(HAS_GPU),r2p1d-whole,r2p1d-cpu).json

.PHONY: demo test check setup data clean

demo: setup data
	$(BIN)/python benchmark.py -c $(DEMO_CONFIG) -mi 0 -v 24 --data data/videos

test: check data
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

setup: $(INSTALLED)

$(INSTALLED): $(SPECS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo \
	"setup: RnB needs Python >= 3.10 and '$(PYTHON)' is none; install one and name it: make PYTHON=python3.12" \
	>&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	"setup: '$(PYTHON)' cannot make virtual environments; install its venv module (Debian, Ubuntu: apt-get install" \
	"python3-venv) or name another Python: make PYTHON=python3.12" >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check $(SPECS:%=-r %)
	touch $@

data: setup
	$(BIN)/python -m utils.sample_videos --out data/videos

clean:
	rm -rf .venv data/videos .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
