# Every target does its own set-up. What is built lives in ~/.cache/platformless (PLATFORMLESS_CACHE).

PYTHON := .venv/bin/python
CACHE := $(or $(PLATFORMLESS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/platformless)
export PLATFORMLESS_CACHE := $(CACHE)
export UV_CACHE_DIR ?= $(CACHE)/uv

.PHONY: help demo demo-sampled demo-proof test check setup prover prover-cuda contracts contracts-update interop services p2p guest guest-update bench bench-sender bench-storage bench-node bench-pipeline bench-audit bench-replay bench-cost bench-soak bench-cells vectors lock

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 26

demo: setup prover contracts ## a paid session on a local marketplace, streamed, proven, settled, checked (1 minute)
	@.venv/bin/fabstir-llm-node demo --report demo-report.json

demo-sampled: setup prover contracts ## the same, and cells of the model's arithmetic are proven too (11 to 25 minutes on two cores)
	@.venv/bin/fabstir-llm-node demo --sampled --report demo-report.json

demo-proof: setup prover ## prove a recorded session of 1,000 tokens, verify the proof, and see a forgery rejected
	@tools/demo.sh

test: setup prover check contracts interop services ## run every test
	@tools/contracts.sh check
	@tools/contracts.sh test
	cd guest && CARGO_TARGET_DIR=$(CACHE)/target-tools cargo test --locked --quiet -p session-claim -p arithmetic -p sample-claim
	$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup p2p ## formatting, lint, types, import direction
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	cd guest && cargo fmt --all --check
	cd guest/programs && cargo fmt --all --check

setup: ## make the Python environment (.venv)
	@tools/environment.sh

prover: ## build stark-prover (7 minutes the first time)
	@tools/prover.sh

prover-cuda: setup ## build stark-prover for NVIDIA GPUs; needs no GPU
	@tools/prover.sh cuda

contracts: ## fetch forge, anvil, solc and OpenZeppelin
	@tools/contracts.sh setup

interop: ## fetch the JavaScript libraries that tests compare with
	@tools/interop.sh

p2p: setup ## add libp2p to the Python environment, for P2P_ENABLED
	@tools/p2p.sh

services: ## install what tests run: databases, brokers, proxies, Prometheus (Debian's packages)
	@tools/services.sh

contracts-update: ## build the contracts and write the artifacts that Python uses
	@tools/contracts.sh update

guest: ## rebuild guests and verifier, fail when an id differs from the committed one
	@tools/guest.sh check

guest-update: ## rebuild guests and verifier and commit to their new ids
	@tools/guest.sh update

bench: setup prover ## measure proofs of 100 to 16,000 tokens (3 minutes)
	$(PYTHON) -m benchmarks.proof_core

bench-sender: setup contracts ## measure the transaction sender and soak it (1 minute)
	$(PYTHON) -m benchmarks.sender

bench-storage: setup ## measure uploads and verified downloads (4 minutes)
	$(PYTHON) -m benchmarks.storage

bench-node: setup contracts ## measure the node against bare llama.cpp, and the hashing of weights (10 minutes)
	$(PYTHON) -m benchmarks.node
	$(PYTHON) -m benchmarks.weights

bench-pipeline: setup contracts ## measure the pipeline without proving: overhead, 10,000 jobs, a large ledger (5 minutes)
	$(PYTHON) -m benchmarks.pipeline

bench-audit: setup contracts prover ## measure audits of 1, 10 and 100 checkpoints (25 minutes the first time: 101 proofs)
	$(PYTHON) -m benchmarks.audit

bench-replay: setup ## measure the replay: speed, honest hosts, what it takes to catch the others
	$(PYTHON) -m benchmarks.replay

bench-cost: setup contracts ## what a million proven tokens cost, from the figures of the proof core and gas measured here
	$(PYTHON) -m benchmarks.cost

bench-soak: setup contracts ## an hour of a node's life in three minutes: memory and descriptors stay flat
	$(PYTHON) -m benchmarks.soak

bench-cells: setup prover ## check every cell of a captured run, cheat, trace, and count the guest's cycles (5 to 20 minutes)
	$(PYTHON) -m benchmarks.arithmetic_cells
	$(PYTHON) -m benchmarks.cheats
	$(PYTHON) -m benchmarks.trace
	$(PYTHON) -m benchmarks.sample

vectors: setup ## write the vectors that Python and Rust share
	$(PYTHON) -m tests.vectors.make
	$(PYTHON) -m tests.vectors.make_trace
	$(PYTHON) -m tests.vectors.make_arithmetic

lock: setup ## write requirements.lock from pyproject.toml
	$(CACHE)/tools/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--no-header --extra node --extra engine --group dev pyproject.toml --output-file requirements.lock
	$(CACHE)/tools/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--no-header --extra p2p --constraint requirements.lock pyproject.toml --output-file requirements-p2p.lock
