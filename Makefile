# Two commands do everything: `make run` and `make test`. Both install what is missing first.
CARGO ?= cargo
CONFIG ?= config/demo.toml
TARGET := $(or $(CARGO_TARGET_DIR),target)

MINUTES ?= 30

.PHONY: help run panel test cargo-test kernel-test lint bench bench-peers bench-kernel soak setup setup-test setup-bench clean

help:
	@echo "make run          five test cameras, a program, recordings under ./demo-data"
	@echo "make panel        a button panel in this terminal, for the box of make run in another"
	@echo "make test         every test: core, graph, wire and kernel"
	@echo "make lint         rustfmt and clippy, warnings are errors"
	@echo "make bench        the figures of the README, each beside its reference"
	@echo "make bench-peers  what publishing to LiveKit costs beside GStreamer's own sink (builds that for ten minutes)"
	@echo "make bench-kernel the rows that the README has from the guest kernel, with 100 of each loss and 500 presses (an hour)"
	@echo "make soak         cuts and losses for half an hour (MINUTES=…): memory, files and threads may not grow"
	@echo "make kernel-test  the program on real V4L2, ALSA and USB drivers in a guest kernel"
	@echo "make setup        install what building and running need (apt; sudo when not root)"

setup:
	@scripts/setup run

setup-test:
	@scripts/setup test

setup-bench:
	@scripts/setup bench

run: setup
	$(CARGO) build --release --bin cuebox
	@exec $(TARGET)/release/cuebox run --config $(CONFIG)

panel: setup
	$(CARGO) build --release --bin cuebox-panel-sim
	@exec $(TARGET)/release/cuebox-panel-sim --link demo-data/panel

test: setup-test lint cargo-test kernel-test

cargo-test: setup-test
	$(CARGO) test --workspace --no-fail-fast

kernel-test: setup-test
	$(CARGO) build --bin cuebox
	CUEBOX=$(TARGET)/debug/cuebox tests/kernel/run

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: setup-bench
	$(CARGO) build --release --bin cuebox
	$(CARGO) bench --bench figures

bench-peers: setup-test
	$(CARGO) build --release --manifest-path benches/peers/Cargo.toml --target-dir $(TARGET)/peers
	$(CARGO) bench --bench figures -- peers $(abspath $(TARGET))/peers/release/cuebox-peers

bench-kernel: setup-test
	$(CARGO) build --release --bin cuebox
	KERNEL_TEST_LOSSES=100 KERNEL_TEST_PRESSES=500 VM_TIMEOUT_S=14400 CUEBOX=$(TARGET)/release/cuebox \
		tests/kernel/run losses panels power-cut

soak: setup-test
	$(CARGO) bench --bench figures -- soak $(MINUTES)

clean:
	$(CARGO) clean
	rm -rf demo-data
