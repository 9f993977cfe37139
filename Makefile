# The library is the module here; examples and benchmarks are modules of their own.
export GOTOOLCHAIN := auto

.DEFAULT_GOAL := help
.PHONY: help demo check test sim explore figures judge chaos bench intake state fmt fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST))

demo: ## the main job in under a minute: no AWS, no Docker, no account
	cd examples && go run ./demo -lake "$(CURDIR)/lake"

check: ## format, vet, staticcheck, golangci-lint, tidy go.mod, import rules, docs
	scripts/check.sh

test: ## all tests, with the race detector; in-process services only
	go test -race -shuffle=on ./...
	go test -shuffle=on ./pipeline/pipelinetest
	go test -run '^Test(CrashAtEveryEffect|MemoryDoesNotGrowWithRows)$$' ./pipeline ./internal/e2e
	cd examples && go test -race -shuffle=on ./...
	cd benchmarks && go test -race -shuffle=on ./...

sim: SEEDS ?= 1000
sim: FROM ?= 0
sim: ## fleets in a simulated world: SEEDS=n FROM=k, or SEED=k to see one run again
	@mkdir -p .run && rm -f .run/sim.txt
	@go test ./pipeline/pipelinetest -run '^TestSim$$' -count=1 -timeout=0 $(if $(SEED),-v) -args -sim.seeds=$(SEEDS) -sim.from=$(FROM) \
		$(if $(SEED),-sim.seed=$(SEED)) -sim.summary="$(CURDIR)/.run/sim.txt"; failed=$$?; cat .run/sim.txt; exit $$failed

explore: ## small cases in the simulated world, every order of calls, to the end
	@go test ./pipeline/pipelinetest -run '^TestExplore$$' -count=1 -v -timeout=0 -args -explore.all

figures: ## of a fleet: recovery, requests, exploration, simulation
	@go test ./pipeline -run '^Test(HandOver|CrashRecovery)$$' -count=1 -v | sed -n 's/^ *[a-z_]*.go:[0-9]*: //p'
	@go test ./internal/e2e -run '^TestRequestsOfAFleet$$' -count=1 -v | sed -n 's/^ *[a-z_]*.go:[0-9]*: //p'
	@$(MAKE) --no-print-directory explore | sed -n 's/^ *[a-z_]*.go:[0-9]*: //p'
	@$(MAKE) --no-print-directory sim | tail -n 1

judge: ## servers and readers that are not ours check the product on real data
	bash judge/run.sh

chaos: SECONDS ?= 120
chaos: CASE ?= chaos
chaos: ## a fleet of real processes under faults, judged from outside: SECONDS=n SEED=k; CASE=chaos-hop for two groups
	CHAOS_SECONDS=$(SECONDS) CHAOS_SEED=$(SEED) bash judge/run.sh $(CASE)

bench: ## what the engine costs, against a hand-written loop
	cd benchmarks && go run ./engine

intake: ## what reading a stream costs, against the stock SDK, two libraries and the floor: 6 minutes
	cd benchmarks && go run ./intake

state: ## what state costs by key: CPU, memory, snapshots, restore: 5 minutes
	cd benchmarks && go run ./state

fmt: ## format the Go files
	scripts/fmt.sh

fuzz: ## a short run of every fuzz target
	scripts/fuzz.sh

clean: ## stop what judge started, remove all that the other targets made
	scripts/servers.sh stop
	[ ! -d .judge ] || chmod -R u+w .judge # Go makes its module cache read-only
	rm -rf .tools .judge .run lake
