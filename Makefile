# What there is to do here; every target is one line, the work is in scripts/.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
PROGRAM ?= $(TARGET_DIR)/release/arcusctl
SHARE = $(DESTDIR)$(PREFIX)/share

.DEFAULT_GOAL := help
.PHONY: help demo demo-local demo-shell demo-down test lint bench install clean

help: ## say what the targets do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## an Arcus cloud on three SSH hosts of a lab, set up before your eyes
	@scripts/demo.sh

demo-local: ## the same on this machine alone: one ZooKeeper, two nodes, no SSH
	@scripts/demo.sh local

demo-shell: ## a shell as the admin of the demo's hosts
	@scripts/demo.sh shell

demo-down: ## take the demo away
	@scripts/demo.sh down

test: ## every test, with real sshd, ZooKeeper and memcached
	@scripts/test.sh

lint: ## formatting and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

bench: ## the benchmarks, side by side with what they compare to
	@scripts/bench.sh

install: ## the optimised program, completions and manual pages below $(PREFIX), below DESTDIR if set
	$(CARGO) build --release --locked --package arcusctl
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/arcusctl
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(PROGRAM) completions bash >$(SHARE)/bash-completion/completions/arcusctl
	$(PROGRAM) completions zsh >$(SHARE)/zsh/site-functions/_arcusctl
	$(PROGRAM) completions fish >$(SHARE)/fish/vendor_completions.d/arcusctl.fish
	$(PROGRAM) --quiet man $(SHARE)/man/man1 >/dev/null

clean: ## remove what was built
	$(CARGO) clean
