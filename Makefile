# Quorate. `make demo` and `make test` do all their own set-up; `make help` lists the rest.

CARGO   ?= cargo
PREFIX  ?= /usr
DESTDIR ?=
# What is built; `make PROFILE=dev …` builds quickly instead of fast.
PROFILE ?= release
OUT      = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
TREE     = $(CURDIR)/target/tree

.PHONY: all help demo test check acceptance bench install tree fuzz clean

all:
	$(CARGO) build --profile $(PROFILE) -p quorate

help:
	@echo 'make demo [KEEP=1]   three hosts, a web page, a power cut: watch it fail over'
	@echo 'make test            everything: format, lints, unit tests, conformance, acceptance'
	@echo 'make acceptance      the handbook walk on namespaced hosts (as root)'
	@echo 'make fuzz            TARGET=NAME TIME=SECONDS: random input at every parser (docs/fuzzing.md)'
	@echo 'make bench           measurements beside Debian'"'"'s own stack'
	@echo 'make install DESTDIR=DIR [PREFIX=/usr]   lay out the drop-in tree'

demo: tree
	@$(TREE)/usr/bin/quorate demo $(if $(filter 1,$(KEEP)),--keep)

# The drop-in tree that demo and tests put over the hosts' /usr.
tree: all
	@rm -rf $(TREE)
	@$(MAKE) --no-print-directory install-files DESTDIR=$(TREE) PREFIX=/usr

install: all install-files

.PHONY: install-files
install-files:
	@sh packaging/install $(OUT)/quorate '$(DESTDIR)' '$(PREFIX)'

test: export FULL := $(FULL)
test:
	@bash .ci/steps

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

acceptance: tree
	@$(TREE)/usr/bin/quorate acceptance $(SCENARIO)

fuzz:
	@fuzz/run $(or $(TARGET),all) $(or $(TIME),60)

bench: tree
	@$(TREE)/usr/bin/quorate bench $(ROUNDS)

clean:
	$(CARGO) clean
