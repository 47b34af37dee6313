# make demo      sets up, prepares sample videos and runs the R(2+1)D pipeline on them
# make demo-faces  names the people on sample pictures, with each of the two face detectors
# make demo-images  prepares sample images and classifies them
# make quick     formatting, lint, types and the tests that start no runs: for each save
# make test      the checks and all tests but the slow ones: for each commit
# make test-all  all checks and tests; continuous integration calls this
# make check     formatting, lint, types and the rules of imports alone
# make torture   attacks for about two hours, and a table of what broke; TORTURE="videos --seed 7" runs some
# make coverage  how much of the code the tests of `make quick` run
# make setup     the virtual environment in .venv, with the versions of spec-file.txt
# make data      sample videos in data/videos, pictures of faces in data/faces, weights in data/weights
# make images    sample images in data/images; IMAGES=10000 makes more
# make clean     removes what the above made; run folders in logs/ stay
#
# Needed beforehand: Python >= 3.11 with venv, and make. Another Python, beside the first one:
# make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.spec-file-installed
SESSION := nvvl/native/libsession.so
SESSION_SOURCES := nvvl/native/session.cpp nvvl/native/driver.h
HAS_GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)
SPECS := spec-file.txt $(if $(HAS_GPU),spec-file-gpu.txt)
DEMO_VIDEOS ?= $(if $(HAS_GPU),1000,24)
IMAGES ?= 240
DEMO_IMAGES ?= $(if $(HAS_GPU),2000,48)
DEMO_CONFIG ?= config/$(if $(HAS_GPU),r2p1d-whole,r2p1d-cpu).json

# How many tests run side by side. Those on a GPU need it for themselves and follow, one after the other.
TESTERS ?= 2
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := $(PYTEST) -q --numprocesses $(TESTERS) --dist worksteal -m

# Each of the many processes that the tests start would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-faces demo-images quick test test-all check torture coverage setup data images clean

demo: setup data
	$(BIN)/python benchmark.py -c $(DEMO_CONFIG) -mi 0 -v $(DEMO_VIDEOS) --data data/videos

demo-faces: setup data
	$(BIN)/python -m benchmarks.face_names $(if $(HAS_GPU),,--device cpu)

demo-images: images
	$(BIN)/python benchmark.py -c config/images-classify.json -mi 0 -v $(DEMO_IMAGES) -b 8 \
	--data data/images-tfrecord $(if $(HAS_GPU),,--device cpu)

quick: check data
	$(SIDE_BY_SIDE) "not processes and not networks and not long and not slow and not gpu"

test: check data
	$(SIDE_BY_SIDE) "not slow and not gpu"
	$(if $(HAS_GPU),$(PYTEST) -q -m "gpu and not slow")

test-all: check data
	$(SIDE_BY_SIDE) "not gpu"
	$(if $(HAS_GPU),$(PYTEST) -q -m gpu)

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(if $(wildcard .importlinter),$(BIN)/lint-imports)

torture: setup
	$(BIN)/python -m tests.robustness $(TORTURE)

# Not of the processes that tests start, so the code of runners and clients is run more than it says.
coverage: setup data
	$(SIDE_BY_SIDE) "not processes and not slow and not gpu" --cov --cov-report=term:skip-covered

setup: $(INSTALLED) $(if $(HAS_GPU),$(SESSION))

# Of what is installed a fifth is ever imported, and compiled then; what takes longest is at once.
$(INSTALLED): $(SPECS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	"setup: RnB needs Python >= 3.11 and '$(PYTHON)' is none; install one and name it: make PYTHON=python3.13" \
	>&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	"setup: '$(PYTHON)' cannot make virtual environments; install its venv module (Debian, Ubuntu: apt-get install" \
	"python3-venv) or name another Python: make PYTHON=python3.13" >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile $(SPECS:%=-r %)
	$(BIN)/python -c 'import pyarrow.parquet, scipy.stats, torch'
	touch $@

# Without a compiler, videos are decoded through PyNvVideoCodec.
$(SESSION): $(SESSION_SOURCES) | $(INSTALLED)
	-$(BIN)/python -m nvvl.native.build

# What faces need may be missing: it is 100 MB, and what uses it says so, its tests too.
data: setup
	$(BIN)/python -m utils.sample_videos --out data/videos
	-$(BIN)/python -m utils.face_weights --out data/weights/faces
	-$(BIN)/python -m utils.sample_faces --out data/faces

images: setup
	$(BIN)/python -m utils.sample_images --out data/images --num $(IMAGES)

clean:
	rm -rf $(VENV) data/videos data/faces data/images data/images-tfrecord data/weights
	rm -rf .mypy_cache .ruff_cache .pytest_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
