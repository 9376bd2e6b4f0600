# Every target works on a fresh machine that has Go, make and git; `make help` lists them.
# STACK picks the stack (dev), CLOUD where it runs: sandbox (simulated, the default), hosts (docker) or aws.

STACK ?= dev
CLOUD ?= sandbox
ARGS  ?=
TO    ?=
REPOSITORY ?=

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

driver := .bin/kubeadm-aws
run     = PULUMI="$$(tools/pulumi.sh)" && export PULUMI && $(driver)

.PHONY: help bootstrap up preview destroy rebuild rollback sweep refresh outputs image verify test e2e e2e-platform demo lint bench clean driver

help: ## list the targets
	@echo 'make TARGET [STACK=dev] [CLOUD=sandbox|hosts|aws] [ARGS="more flags of the driver"]'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r t d; do printf '  %-12s %s\n' "$$t" "$$d"; done

bootstrap: driver ## make what an account needs once, and print what to set on GitHub: REPOSITORY=OWNER/NAME
	@$(run) bootstrap --cloud $(CLOUD) $(if $(REPOSITORY),--repository '$(REPOSITORY)') $(ARGS)

up: driver ## bring the stack up; rehearses it in the sandbox unless CLOUD says otherwise
	@$(run) up --stack $(STACK) --cloud $(CLOUD) $(ARGS)

preview: driver ## show what up would change, and change nothing
	@$(run) preview --stack $(STACK) --cloud $(CLOUD) $(ARGS)

destroy: driver ## take the stack down and prove that nothing is left
	@$(run) destroy --stack $(STACK) --cloud $(CLOUD) $(ARGS)

rebuild: driver ## destroy the stack and, when nothing is left, bring it up again
	@$(run) rebuild --stack $(STACK) --cloud $(CLOUD) $(ARGS)

rollback: driver ## bring the stack to what a commit says: TO=COMMIT; without it the good ones are listed
	@$(run) rollback --stack $(STACK) --cloud $(CLOUD) $(if $(TO),--to $(TO)) $(ARGS)

sweep: driver ## list, then remove what controllers left in the account
	@$(run) sweep --stack $(STACK) --cloud $(CLOUD) $(ARGS)

refresh: driver ## compare the state with what exists
	@$(run) refresh --stack $(STACK) --cloud $(CLOUD) $(ARGS)

outputs: driver ## print the outputs of the stack
	@$(run) outputs --stack $(STACK) --cloud $(CLOUD) $(ARGS)

image: driver ## build a machine image with which nodes start faster
	@$(run) image build --stack $(STACK) --cloud $(CLOUD) $(ARGS)

verify: driver ## check a live cluster
	@$(run) verify --stack $(STACK) --cloud $(CLOUD) $(ARGS)

test: ## run the whole test suite
	@tools/test.sh

e2e: ## prove it on real hosts: docker and root are needed; MIRROR=off installs from the public sources
	@tools/e2e.sh

e2e-platform: ## prove the add-ons with their own programs on real hosts; builds their images first
	@ADDONS=real tools/e2e.sh -run TestPlatform -timeout 60m

demo: ## show the whole way on this machine, from nothing to a released application and back: ARGS=--steps prints it
	@tools/demo.sh $(ARGS)

lint: ## gofmt, go vet, staticcheck, actionlint, zizmor, shfmt, shellcheck, yamllint
	@tools/lint.sh

bench: ## measure builds and runs and print a table
	@tools/bench.sh

clean: ## remove what was built; stacks of the sandbox (.sandbox/) stay
	rm -rf .bin

# Go rebuilds only what changed; a first build compiles the AWS SDK of Pulumi.
driver:
	@if [ ! -x $(driver) ]; then echo 'Building the driver: once, about 2 minutes on 2 cores.' >&2; fi
	@go build -o $(driver) ./cmd/kubeadm-aws
