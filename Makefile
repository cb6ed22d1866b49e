# `make quickstart` shows what the package does; `make test` checks that it does it.

VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
BENCH  := $(VENV)/.installed-bench
FUZZ   := $(VENV)/.installed-fuzz
FUZZED ?= sweep card recipe predictions rows questions numbers config index weights answers zipped tarred kept cell manifest

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

# What this machine cannot run is left out by its mark: tests of published files, of pretrained models, of servers and of the report in a browser.
HAVE_BROWSER := $(shell command -v chromedriver)
ELSEWHERE    := $(if $(ICL_GAP_DATA),, and not data)$(if $(ICL_GAP_MODELS),, and not models)$(if $(ICL_GAP_VLLM),, and not vllm)$(if $(ICL_GAP_LLAMA_SERVER),, and not llama_server)$(if $(HAVE_BROWSER),, and not browser)
MARKED       := data or browser
PYTEST       := $(BIN)/pytest -n 2 --dist worksteal --durations=20

.PHONY: quickstart test test-slow test-marked calibrate fuzz bench bench-peers lint format clean

quickstart: $(STAMP)
	$(BIN)/icl-gap run sweeps/quickstart.yaml

test: $(STAMP) lint
	$(PYTEST) -m 'not slow$(ELSEWHERE)'

test-slow: $(STAMP)
	$(PYTEST) -m 'slow$(ELSEWHERE)'

# Just what `make test` leaves out on a bare machine; `.ci/run` runs it after the rest.
test-marked: $(STAMP)
	$(PYTEST) -m '($(MARKED)) and not slow'

# An hour on two cores; goes on where it was stopped. `make calibrate ONLY=power` takes some settings.
calibrate: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m calibration --only '$(ONLY)'

# A minute for each kind of file; `make fuzz FUZZED=sweep` takes one.
fuzz: $(FUZZ)
	for name in $(FUZZED); do \
		PYTHONPATH=tests $(BIN)/python tests/fuzz_atheris.py $$name -max_total_time=60 || exit 1; \
	done

bench: $(BENCH)
	$(BIN)/python tests/bench/analysis.py; large=$$?; \
	$(BIN)/python tests/bench/scale.py; grown=$$?; \
	$(BIN)/python tests/bench/speed.py; missed=$$?; \
	$(BIN)/python tests/bench/overlap.py; idle=$$?; \
	$(BIN)/python tests/bench/engine.py && exit $$((large + grown + missed + idle))

# At most 40 minutes on two idle cores; makes .venv-vllm first. Needs ICL_GAP_MODELS and ICL_GAP_DATA; `tests/bench/peers.py --only gemma` takes a part.
bench-peers: $(BENCH)
	$(BIN)/python tests/bench/peers.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch goes in first, on its own pin: a later range is then satisfied and cannot pull in another build.
$(STAMP): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable '.[quantization,api,ray,embedding,bayes,gguf]' --group dev
	touch $@

# What the engine is measured against; nothing else needs it.
$(BENCH): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable '.[bench]'
	touch $@

$(FUZZ): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt --group fuzz
	touch $@

clean:
	rm -rf $(VENV) .venv-vllm .fuzz results build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
