# Everything here needs Go, git and make only; what a target needs beyond them it installs or says.

GO      ?= go
BIN     := bin/openmas
PROJECT ?= configs/project.yaml
# Runs go build, go install and go test, and shows how far they are.
PROGRESS := $(GO) run ./internal/progress
# Tools are built once per machine, outside the checkout.
TOOLS   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/openmas/tools
LINT_VERSION := v2.15.0
LINT    := $(TOOLS)/golangci-lint-$(LINT_VERSION)

# The race detector needs a C compiler.
RACE := $(shell CGO_ENABLED=$$($(GO) env CGO_ENABLED) && [ "$$CGO_ENABLED" = 1 ] && command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

.DEFAULT_GOAL := help
.PHONY: help run smoke build install test quick lint cross fuzz interop real jaeger test-jaeger cluster chaos soak demos redis bench bench-mcp clean $(BIN)

help: ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(BIN) ## the main job: a crew of agents reviews this repository (PROJECT=other.yaml for another)
	@exec $(BIN) run $(PROJECT)

smoke: $(BIN) ## the main job once, on a free port
	@$(BIN) run --once --listen 127.0.0.1:0 $(PROJECT)

build: $(BIN) ## bin/openmas

$(BIN):
	@[ -e $(BIN) ] || echo "make: building $(BIN); the first time, all that it needs is compiled, which takes minutes"
	@$(PROGRESS) build -o=$(BIN) ./cmd/openmas

install: ## openmas into the Go bin folder
	@echo "make: building openmas into $$($(GO) list -f '{{.Target}}' ./cmd/openmas); the first time, all that it needs is compiled, which takes minutes"
	@$(PROGRESS) install ./cmd/openmas

# Many tests wait more than they work: two more packages than processors at the same time, the longest first.
PACKAGES := ./mcp/internal/difftest ./mcp/server ./runtime ./internal/doctest ./communicator/nats ./mcp/client ./...
AT_ONCE  := -p=$(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 2)

# With the race detector, each process would sleep for a second at its end. The second run takes the SDK's way
# through the packages of mcp, which must not make a difference; the cache of tests does not know the variable.
test: export GORACE := atexit_sleep_ms=0
test: ## every test, with the race detector where there is a C compiler
	@echo "make: every test, $(if $(RACE),with the race detector,WITHOUT the race detector: no C compiler (or CGO_ENABLED=0)); some minutes, and more the first time"
	@$(PROGRESS) test $(RACE) $(AT_ONCE) -vet=all -timeout=10m $(PACKAGES) && \
	  echo "make: once more, without the fast path" && OPENMAS_TEST_FAST_PATH=off $(PROGRESS) test -count=1 $(RACE) $(AT_ONCE) -timeout=10m ./mcp/bridge ./mcp/client ./mcp/server

quick: ## what a change breaks first: no race detector, no other processes
	@echo "make: the tests that need neither the race detector nor other processes"
	@$(PROGRESS) test $(AT_ONCE) -short $(PACKAGES)

# Modules of their own: what they need is none of ours. Nothing else builds them.
NESTED := internal/bench internal/interop/mcpgo contrib/redis

lint: $(LINT) ## gofmt, go.mod tidiness and golangci-lint, of the nested modules too
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:" >&2; gofmt -l . >&2; exit 1; }
	@for m in . $(NESTED); do (cd $$m && $(GO) mod tidy -diff && $(GO) vet ./... && $(LINT) run ./...) || { echo "lint: module $$m" >&2; exit 1; }; done

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION) (once, about two minutes)" >&2
	@mkdir -p $(TOOLS) && GOFLAGS= GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION) && mv $(TOOLS)/golangci-lint $(LINT)

cross: ## build and vet for every system that we support
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
	  echo "$$os/$$arch" && GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) build ./... && GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) vet ./... || exit 1; done; done

FUZZTIME ?= 20s
fuzz: ## every fuzz test for FUZZTIME each
	@for pkg in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz'); do \
	  echo "$$pkg $$f" && $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; done; done

interop: ## real MCP programs in Python, TypeScript and Go, the Inspector, the conformance suite, and the pages of docs with such programs: installed once, in the cache folder
	@$(GO) run ./internal/interop/run -skip '^Test(Real|Jaeger)'
	@$(GO) run ./internal/interop/run -docs

real: ## eight servers that people use, called by official clients through the gateway (STARTS=10: start 16 at once, so often)
	@OPENMAS_INTEROP_STARTS=$(STARTS) $(GO) run ./internal/interop/run -run '^TestReal$(if $(STARTS),ServersSixteen)' $(if $(STARTS),-timeout=60m)

jaeger: ## a Jaeger on this machine for traces (built from its Go module once, which takes minutes)
	@$(GO) run ./internal/interop/jaeger

test-jaeger: ## one trace of the crew, a Python client and a Python server in a real Jaeger (UPDATE=1 writes it into docs/howto/tracing.md)
	@$(GO) run ./internal/interop/run -jaeger $(if $(UPDATE),-update)

demos: ## the examples, each against what its README shows, and how long it takes (DEMO=03: one of them)
	@$(GO) run ./internal/demos $(DEMO)

cluster: SHELL := bash
cluster: .SHELLFLAGS := -o pipefail -c
cluster: ## what the processes of a project promise each other, with figures: kills, takeovers, 10,000 calls, one project four ways
	@$(GO) test -count=1 -v -timeout 10m -run 'ThreeProcesses|CalleesProcess|BrokersOwner|ABroker|WrongCredentials|TestDurableEvents|InACluster|SlowAgent|TestCluster|OwnerIsKilled|CalleeIsKilled|ProjectsAreApart' \
	  ./examples/06-review-crew ./internal/cli ./communicator/nats | grep -v '^=== '

# One row alone: make chaos ROWS=child-kill. What a change has to pass: make chaos CHAOS='-short -slack 10'.
chaos: ## what callers notice when things are killed, stopped, cut and flooded, with a ledger (ROWS=REGEXP, CHAOS='-n 10 -json -list')
	@$(GO) run ./internal/chaos $(CHAOS) $(if $(ROWS),-run '$(ROWS)')

SOAK ?= 1h
soak: ## load on every communicator for an hour (SOAK=10m), to see that nothing grows
	@$(GO) run ./internal/chaos -soak $(SOAK)

redis: ## the driver for Redis, on a real redis-server (which it needs installed)
	@cd contrib/redis && CI=true $(GO) test -count=1 -timeout 10m $(RACE) ./...

bench: ## the benchmarks beside the code, then MCP against other Go implementations (BENCH=quick: only that, in a minute)
	@$(if $(filter quick,$(BENCH)),,$(GO) test -run '^$$' -bench . -benchmem ./... &&) $(MAKE) --no-print-directory bench-mcp

bench-mcp: ## MCP against mcp-go and the official SDK, a module of its own (BENCH=quick)
	@cd internal/bench && $(GO) run . $(if $(filter quick,$(BENCH)),-quick)

clean: ## what the targets above built in this folder
	@rm -rf bin .cache examples/*/.venv examples/*/node_modules
