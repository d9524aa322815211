# The commands that people and CI run. `make help` lists them.

export AWS_EC2_METADATA_DISABLED := true

GO    ?= go
FLAGS ?=
BIN   := bin
# The modules of this tree, this one first (docs/lab.md says why there are several).
MODULES = . $(sort $(filter-out .,$(patsubst ./%/go.mod,%,$(patsubst ./go.mod,.,$(shell find . -name go.mod)))))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build the programs into bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/ ./cmd/...

DEMO = doctor --kubeconfig examples/kubeconfig-2021.yaml --kubeconfig examples/kubeconfig-aws-cli-1.45.yaml \
  --audit-log examples/audit-kube-apiserver-1.35.4.log.gz --image-config examples/credential-provider-config.yaml \
  --profile eks --now 2026-11-22T04:13:00Z --fail-on never
.PHONY: demo
demo: build ## check the real inputs in examples/ and write a report
	@mkdir -p report
	@$(BIN)/kubecred $(DEMO)
	@$(BIN)/kubecred $(DEMO) -o json > report/report.json
	@for f in html sarif; do $(BIN)/kubecred doctor --from report/report.json -o $$f --fail-on never > report/report.$$f; done
	@$(BIN)/kubecred doctor --from report/report.json -o junit --fail-on never > report/report.junit.xml
	@echo; echo "The same in report/: report.html to look at, report.json for programs, report.sarif and report.junit.xml for CI."

# Runs go test, says what was skipped and why, and counts. With CI=true a test that
# cannot run here is a failure.
COUNTED = mkdir -p $(BIN) && CGO_ENABLED=0 $(GO) build -o $(BIN)/counted ./hack/counted
NOSKIPS = $(if $(filter true,$(CI)),-no-skips)

.PHONY: test
test: ## unit tests, scripts and fuzz seeds; needs only Go
	@$(COUNTED)
	CGO_ENABLED=0 $(BIN)/counted -quiet $(NOSKIPS) -shuffle=on $(FLAGS) ./...

.PHONY: race
race: ## the same under the race detector; needs gcc
	@$(COUNTED)
	CGO_ENABLED=1 $(BIN)/counted -quiet $(NOSKIPS) -race -shuffle=on $(FLAGS) ./...

.PHONY: lint
lint: ## formatting, go vet and staticcheck, in every module
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "gofmt wants to change:"; echo "$$bad"; exit 1; fi
	@mkdir -p $(BIN) && $(GO) build -modfile=hack/tools/go.mod -o $(BIN)/staticcheck honnef.co/go/tools/cmd/staticcheck
	@for m in $(MODULES); do \
	  if [ -z "$$(cd $$m && $(GO) list ./... 2>/dev/null)" ]; then continue; fi; \
	  echo "vet and staticcheck in $$m"; \
	  (cd $$m && CGO_ENABLED=0 $(GO) vet ./... && CGO_ENABLED=0 $(CURDIR)/$(BIN)/staticcheck ./...) || exit 1; \
	done

.PHONY: e2e-deps
e2e-deps: ## install what `make race` and `make e2e` need (Debian packages, as root)
	@hack/e2e-deps

.PHONY: e2e
e2e: ## end-to-end tests on a real control plane and node; docs/lab.md
	@$(COUNTED)
	@cd conformance && export CGO_ENABLED=0 && $(GO) vet ./... && $(GO) build -o bin/ ./cmd/lab && \
	  bin/lab build && \
	  ../$(BIN)/counted $(NOSKIPS) -count=1 -timeout 40m $(FLAGS) ./...

.PHONY: lab
lab: ## start a cluster with planted incidents, for people; docs/lab.md
	@cd conformance && CGO_ENABLED=0 $(GO) build -o bin/lab ./cmd/lab && exec bin/lab up

.PHONY: cross
cross: ## build and vet for macOS and Windows
	@for os in darwin windows; do echo "$$os"; GOOS=$$os CGO_ENABLED=0 $(GO) build -o /dev/null ./... && GOOS=$$os CGO_ENABLED=0 $(GO) vet ./... || exit 1; done

.PHONY: tidy
tidy: ## check that each go.mod and go.sum says what the code needs
	@for m in $(MODULES); do echo "go mod tidy in $$m"; (cd $$m && $(GO) mod tidy -diff) || exit 1; done

.PHONY: docs
docs: ## write docs/cli.md and docs/codes.md from the commands and the codes
	$(GO) run ./hack/docs docs

.PHONY: bench
bench: ## whole processes beside their baselines and peers; docs/benchmarks.md
	@CGO_ENABLED=0 $(GO) run ./hack/bench
	@echo
	@CGO_ENABLED=0 $(GO) -C conformance run ./cmd/bench

.PHONY: bench-graph
bench-graph: ## draw the cost of a scan from 10 MB to 10 GB; takes 10 GB of disk meanwhile
	$(GO) run ./hack/bench -graph docs/scan-cost.svg

.PHONY: microbench
microbench: ## the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem $(FLAGS) ./...

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@$(GO) list ./... | while read -r pkg; do \
	  for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$pkg" || exit 1; \
	  done; \
	done
