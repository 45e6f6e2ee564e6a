# Every routine of the project; what CI runs is what you run.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export VMREWIND_PYTHON := $(CURDIR)/.venv/bin/python

help: ## Lists the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

toolchain: ## Checks that what must be installed is there, and says what to install if not.
	@build/toolchain

venv: toolchain ## Prepares the Python environment of the second reader.
	@build/venv

controlplane: toolchain ## Builds etcd, kube-apiserver and kube-controller-manager once (about five minutes, cached).
	@tests/controlplane/build.sh >/dev/null

stores: toolchain ## Builds versitygw, the S3 server of the tests, once (a minute or two, cached).
	@tests/stores/build.sh >/dev/null

bins: toolchain
	@echo "building vmrewind-watcher and kubectl-vmrewind ..." >&2
	@cargo build --locked --workspace --bins

demo: controlplane bins ## Shows the main job on a real control plane: capture, accident, restore, proof. KEEP=1 leaves it up.
	@cargo run --locked --quiet --bin demo

# Random cases begin with the same seed every time, so that a run says something of a change and not of luck; `make sim`
# looks for new ones.
test: export PROPTEST_RNG_SEED ?= 1
test: controlplane stores venv bins ## Sets up what the tests need and runs all of them.
	.venv/bin/python -m unittest discover --start-directory spec
	cargo test --locked --workspace --no-fail-fast

sim: toolchain ## Random histories of the watcher. CASES=20000 SEED=n (default: another one each time).
	PROPTEST_CASES=$(or $(CASES),20000) $(if $(SEED),PROPTEST_RNG_SEED=$(SEED)) \
	    cargo test --locked -p vmrewind-watcher --lib histories

lint: toolchain ## Formatting and lints, as strict as CI.
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

fmt: ## Formats the code.
	cargo fmt --all

bench: controlplane ## Speed and memory, printed as ratios (see bench/README.md).
	@cargo build --locked --release --bins -p vmrewind-watcher -p vmrewind-cli
	cargo run --locked --release -p vmrewind-bench

deny: ## Licences, bans and sources of the dependencies (needs cargo-deny).
	cargo deny --all-features check bans licenses sources

clean: ## Removes what was built here; the control plane and the S3 server stay in their cache.
	cargo clean
	rm -rf .venv

.PHONY: help toolchain venv controlplane stores bins demo test sim lint fmt bench deny clean
