# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

GO ?= go
# The number is in charts/doorward/Chart.yaml alone.
VERSION ?= $(shell hack/version.sh)
# The image's whole name; ghcr.io/doorward/doorward and the version where it is empty.
IMAGE ?=
# Where `make test` looks, and what it passes on: make test PACKAGES=./proxy/... TESTFLAGS='-run TestX'
PACKAGES ?= ./...
TESTFLAGS ?=
TEST_TIMEOUT ?= 25m

# The cluster of `make cluster-up`.
CLUSTER ?= doorward

BIN := bin
TOOLS := $(BIN)/tools
COMMANDS := $(patsubst cmd/%/main.go,%,$(wildcard cmd/*/main.go))
CHART_TOOLS := $(addprefix $(TOOLS)/,helm kubeconform kube-score kustomize)
DIST_TOOLS := $(addprefix $(TOOLS)/,crane cyclonedx-gomod helm krew validate-krew-manifest)
TEST_SERVERS := $(patsubst test/%/go.mod,$(BIN)/%,$(wildcard test/sinks/*/go.mod test/idp/*/go.mod))
# The product's binaries are static, so that they run from an image made from scratch.
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X github.com/doorward/doorward/cmd/version.linked=$(VERSION)"

# The folder of etcd, its tools, kube-apiserver, kube-controller-manager and kubectl, obtained on first use.
WITH_CONTROLPLANE = assets=$$(hack/controlplane/ensure.sh); export KUBEBUILDER_ASSETS="$$assets"

.DEFAULT_GOAL := help

##@ Use

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-zA-Z0-9_-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: playground-needs ## Tell the whole story in a terminal, on real components; DEMO_PAUSE=1 waits for Enter at each step.
	@$(WITH_CONTROLPLANE); exec $(BIN)/playground demo

.PHONY: playground
playground: playground-needs ## Start everything on this machine and leave it running until Ctrl-C.
	@$(WITH_CONTROLPLANE); exec $(BIN)/playground up

.PHONY: playground-needs
playground-needs:
	@hack/install-deps.sh build database ssh
	@$(MAKE) build

.PHONY: cluster-up
cluster-up: $(BIN)/cluster ## Start a Kubernetes of one node on this machine, as root; CLUSTER=NAME for more than one, PROVIDER=kind for kind's.
	@$(BIN)/cluster up --name $(CLUSTER) $(if $(PROVIDER),--provider $(PROVIDER))

.PHONY: cluster-down
cluster-down: $(BIN)/cluster ## End that cluster and remove all of it.
	@$(BIN)/cluster down --name $(CLUSTER)

.PHONY: cluster-check
cluster-check: $(BIN)/cluster ## Say what this machine lacks to run such a node, and how to get it.
	@$(BIN)/cluster check

# Built each time: what it is made of has no list here, and the compiler's cache knows.
.PHONY: $(BIN)/cluster
$(BIN)/cluster:
	@mkdir -p $(BIN); $(GO) build -o $@ ./hack/cluster

##@ Build

.PHONY: build
build: ## Build every command, and the playground, into bin/.
	@mkdir -p $(BIN)
	@for name in $(COMMANDS); do $(BUILD) -o $(BIN)/$$name ./cmd/$$name; done
	@$(BUILD) -o $(BIN)/playground ./hack/playground

.PHONY: image
image: ## Assemble the image of the manager and the proxy without a container engine: bin/image.tar, to be loaded.
	@$(GO) run ./hack/image -version $(VERSION) $(if $(IMAGE),-name $(IMAGE)) -output $(BIN)/image.tar

.PHONY: image-push
image-push: image $(TOOLS)/crane ## Push that image: make image-push IMAGE=<registry>/doorward:<tag>.
	@hack/push.sh $(BIN)/image.tar $(or $(IMAGE),$(error say where to: IMAGE=<registry>/doorward:<tag>))

.PHONY: docker-image
docker-image: ## Build the same image from the Dockerfile, with Docker.
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(hack/version.sh commit) --build-arg SOURCE_DATE_EPOCH=$$(hack/version.sh time) \
		--tag $(or $(IMAGE),ghcr.io/doorward/doorward:$$(hack/version.sh tag)) .

.PHONY: dist
dist: $(DIST_TOOLS) ## Make all that a release consists of, in dist/; the same bytes for the same commit.
	@$(GO) run ./hack/release -version $(VERSION) -output dist

.PHONY: clean
clean: ## Remove what was built here; the control plane shared by all clones stays.
	rm -rf $(BIN) dist coverage.out

##@ Test

.PHONY: test
test: install-deps $(if $(filter ./... ./test/cluster%,$(PACKAGES)),node-needs) $(if $(filter ./... ./test/charts%,$(PACKAGES)),$(CHART_TOOLS)) $(if $(filter ./... ./test/release%,$(PACKAGES)),$(DIST_TOOLS)) $(if $(filter ./... ./proxy/% ./test/idp%,$(PACKAGES)),test-servers) $(if $(filter ./... ./proxy/%,$(PACKAGES)),$(BIN)/pgquery) ## Run all tests with the race detector; installs what they need.
	@$(WITH_CONTROLPLANE); \
		$(GO) test -race -timeout $(TEST_TIMEOUT) -p 2 $(TESTFLAGS) $(PACKAGES)
	@# Allocations cannot be counted under the race detector: pools forget there.
	@$(if $(filter ./...,$(PACKAGES)),$(GO) test -run Allocates ./proxy/mask/... ./proxy/protocol/postgres)
	@# Nor do random cases need it: with it the policy engine tries a fifth of what it does here.
	@$(if $(filter ./...,$(PACKAGES)),$(GO) test ./proxy/policy/rego)

.PHONY: cel
cel: install-deps ## Ask the API servers of two minor versions of Kubernetes about every rule of the API; the second is built once per machine.
	@$(MAKE) test PACKAGES=./test/cel
	@export KUBEBUILDER_ASSETS="$$(hack/controlplane/ensure.sh --next)"; $(GO) test -timeout $(TEST_TIMEOUT) -count=1 $(TESTFLAGS) ./test/cel

.PHONY: conformance
conformance: install-deps ## Run stock clients through the proxy.
	@$(MAKE) test PACKAGES=./test/conformance/... TESTFLAGS='-count=1 -v $(TESTFLAGS)'

.PHONY: regress-ssh
regress-ssh: ## Run OpenSSH's own regression scripts (Debian's openssh-tests) directly and through the proxy; half an hour (SCRIPTS=connect,multiplex for some).
	@hack/install-deps.sh build ssh
	@$(GO) run ./hack/peer-suites -suites openssh -v $(if $(SCRIPTS),-run $(SCRIPTS))

.PHONY: conformance-oracle
conformance-oracle: install-deps $(BIN)/pgquery ## Hold the analysis against PostgreSQL's own parser, the records against the server's log, over all regression statements; hours.
	@DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout 1h -run TestParsesLikePostgreSQL $(TESTFLAGS) ./proxy/protocol/postgres/sql
	@DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout 12h $(TESTFLAGS) ./test/conformance/oracle

.PHONY: conformance-verify
conformance-verify: ## Tamper with 100,000 records, verify 1,000,000; holds the verifier to its time and memory.
	@DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./test/conformance/verify ./proxy/record/verify/...

.PHONY: conformance-policy
conformance-policy: ## Hold the policy engine against its oracle in 100,000 random cases, and random sets against what must never happen.
	@DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./proxy/policy/rego

.PHONY: evasion
evasion: install-deps ## Run every attack and every honest query with every client, then fuzz whole sessions for five minutes.
	@DOORWARD_LONG=1 $(GO) test -count=1 -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./test/conformance/evasion
	@$(GO) test -run '^$$' -fuzz FuzzSession -fuzztime $${FUZZ_TIME:-5m} -parallel 2 ./proxy/protocol/postgres # fuzz-session

.PHONY: resilience
resilience: install-deps ## Take the API server, the manager and the proxy away under load; the API server for a full minute, the proxy 200 times.
	@DOORWARD_OUTAGE=$${DOORWARD_OUTAGE:-1m} DOORWARD_LONG=1 $(MAKE) test PACKAGES=./test/resilience/... TESTFLAGS='-count=1 -v $(TESTFLAGS)'

.PHONY: flood
flood: install-deps ## Have one person make 10,000 ApprovalRequests while another asks for one.
	@DOORWARD_FLOOD=$${DOORWARD_FLOOD:-10000} $(MAKE) test PACKAGES=./test/approvals TESTFLAGS='-count=1 -v -run TestFlood $(TESTFLAGS)'

.PHONY: operations
operations: install-deps ## Back up, restore, lose and rotate on real components, with the commands of docs/operations.
	@$(MAKE) test PACKAGES=./test/operations/... TESTFLAGS='-count=1 -v $(TESTFLAGS)'

.PHONY: e2e
e2e: e2e-needs ## Install with Helm on a real node, work through it, and break it under load; prints a table, which UPDATE=1 writes into docs/reliability.md; ten minutes.
	@DOORWARD_E2E=1 $(GO) test -count=1 -v -timeout 60m $(TESTFLAGS) ./test/e2e $(if $(UPDATE),-update)

.PHONY: e2e-full
e2e-full: e2e-needs ## The same with the API server away for two minutes, and as many Managed Connections as the node bears.
	@DOORWARD_E2E=1 DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout 90m $(TESTFLAGS) ./test/e2e $(if $(UPDATE),-update)

.PHONY: e2e-needs
e2e-needs: node-needs
	@hack/install-deps.sh build database
	@[[ $$(id -u) != 0 ]] || $(MAKE) $(TOOLS)/helm $(BIN)/sinks/webhookreceiver

# What cannot be had is named by the tests, which are skipped for that alone.
.PHONY: node-needs
node-needs:
	@hack/install-deps.sh cluster || true
	@[[ $$(id -u) != 0 ]] || hack/controlplane/ensure.sh --node >/dev/null

.PHONY: scale
scale: controlplane ## Measure the manager with 1,000 Connections, 10,000 AuditSessions, 1,000 ApprovalRequests, then edits of policies; prints the tables of docs/scale.md; 20 minutes.
	@$(WITH_CONTROLPLANE); DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout 45m $(TESTFLAGS) ./test/scale

.PHONY: live
live: install-deps ## Measure how soon changes of policies reach 100 proxies' watches and live sessions; prints the table of docs/policy/live.md; an hour.
	@$(WITH_CONTROLPLANE); DOORWARD_LONG=1 $(GO) test -count=1 -v -timeout 4h -run TestLive $(TESTFLAGS) ./test/live

.PHONY: bench
bench: ## Compare with peers, in layers, streaming, idle; prints tables; 15 minutes (BENCH="-parts layers -clients 16" for parts).
	@hack/install-deps.sh build database bench
	@$(WITH_CONTROLPLANE); $(GO) run ./test/bench/postgres $(BENCH)

.PHONY: bench-record
bench-record: ## Measure the log beside the disk and other libraries, then what settings of spec.audit cost; five minutes.
	@hack/install-deps.sh build database bench
	@$(GO) -C test/bench/record/peers build -trimpath -buildvcs=false -o $(CURDIR)/$(BIN)/bench/peers .
	@$(GO) run ./test/bench/record -dir $(BIN) -duration 1s -peers $(BIN)/bench/peers
	@$(WITH_CONTROLPLANE); $(GO) run ./test/bench/postgres -audit -rounds 3 -time 2s

.PHONY: bench-policy
bench-policy: build ## Measure decisions, modules of Rego, the cache and the replay of 100,000 operations; prints the tables of docs/benchmarks.md; two minutes (BENCH="-parts replay" for parts).
	@GOGC=400 $(GO) run ./test/bench/policy -plugin $(BIN)/kubectl-doorward $(BENCH)

.PHONY: bench-ssh
bench-ssh: ## Measure SFTP, commands, terminals, logins and idle sessions of SSH beside haproxy and a direct connection; prints tables; ten minutes (BENCH="-parts login" for parts).
	@hack/install-deps.sh build bench ssh
	@mkdir -p $(BIN); $(GO) run ./test/bench/ssh -dir $(BIN) $(BENCH)

##@ Check

.PHONY: verify
verify: ## Regenerate, check format, lint, imports and modules; fail on any difference.
	@hack/verify.sh

.PHONY: generate
generate: $(TOOLS)/controller-gen ## Regenerate deepcopy functions, CRDs, what charts take from config/, and the list of protocols.
	@$(TOOLS)/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	@$(TOOLS)/controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	@$(GO) run ./hack/genprotocols
	@$(GO) run ./hack/genchart

.PHONY: fmt
fmt: $(TOOLS)/golangci-lint ## Format all Go files.
	@$(TOOLS)/golangci-lint fmt

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Lint all Go files, and the API types by the Kubernetes API conventions.
	@$(TOOLS)/golangci-lint run --timeout 20m ./...
	@$(TOOLS)/golangci-lint run --timeout 20m --config .golangci-kal.yml ./api/...

.PHONY: govulncheck
govulncheck: $(TOOLS)/govulncheck ## Look for known vulnerabilities that are reachable; needs vuln.go.dev.
	@$(TOOLS)/govulncheck ./...

##@ Prepare

.PHONY: install-deps
install-deps: ## Install missing programs with apt, or say which.
	@hack/install-deps.sh

.PHONY: node
node: ## Obtain what a whole node needs beside the control plane, once per machine: what `make cluster-up` runs.
	@hack/install-deps.sh cluster
	@hack/controlplane/ensure.sh --node >/dev/null

.PHONY: controlplane
controlplane: ## Obtain etcd, its tools, kube-apiserver, kube-controller-manager and kubectl, once per machine.
	@hack/controlplane/ensure.sh

.PHONY: tools
tools: $(addprefix $(TOOLS)/,actionlint controller-gen golangci-lint helm kustomize) ## Build the pinned development tools into bin/tools/.

.PHONY: test-servers
test-servers: $(TEST_SERVERS) $(BIN)/sinks/webhookreceiver ## Build the servers that tests talk to, once, into bin/sinks/ and bin/idp/.

# The flags are those of test/servers/build.go. The folder either pins a tool or is a main package;
# this one is of the product's own module.
$(BIN)/sinks/webhookreceiver: $(wildcard test/sinks/webhookreceiver/*.go)
	@source hack/lib/progress.sh; mkdir -p $(@D); \
		progress "build webhookreceiver" $(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o $@ ./test/sinks/webhookreceiver

define test_server
$(BIN)/$(1): test/$(1)/go.mod test/$(1)/go.sum $$(wildcard test/$(1)/*.go)
	@source hack/lib/progress.sh; mkdir -p $$(@D); what=tool; [[ ! -e test/$(1)/main.go ]] || what=.; \
		progress "build $(notdir $(1))" $$(GO) -C test/$(1) build -trimpath -buildvcs=false -ldflags='-s -w' -o $$(CURDIR)/$$@ $$$$what
endef
$(foreach server,$(TEST_SERVERS:$(BIN)/%=%),$(eval $(call test_server,$(server))))

# PostgreSQL's own parser, with the flags of test/pgquery/build.go: a minute of the compiler, once.
$(BIN)/pgquery: $(wildcard test/pgquery/server/*)
	@hack/install-deps.sh build
	@source hack/lib/progress.sh; mkdir -p $(BIN); \
		progress "build pgquery" env CGO_ENABLED=1 $(GO) -C test/pgquery/server build -trimpath -buildvcs=false -ldflags='-s -w' -o $(CURDIR)/$@ .

# A tool is built again when the module that pins it changes.
$(TOOLS)/%: hack/tools/%/go.mod hack/tools/%/go.sum
	@source hack/lib/progress.sh; mkdir -p $(TOOLS); \
		progress "build $*" $(GO) -C hack/tools/$* build -trimpath -buildvcs=false -o $(CURDIR)/$@ tool
