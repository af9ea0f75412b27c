# Lint's version is part of the source, as every other dependency's.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Each round runs all, so that both sides of a comparison meet the same noise.
MICRO = go test -run "^$$" -bench "Lookup|ServeDNS|Plugin" -benchtime 0.5s ./internal/zone ./plugin/dockerdiscovery
# The benchmarks are a module of their own, which the product's build, tests and lint don't carry.
BENCH = go -C test/bench
# So are those of the alerts, which need Prometheus's parser.
ALERTS = go -C test/alerts
# So are the tests that look at the status page in a browser.
PAGE = go -C test/page
# So are the clusters, one of which is made with a library.
CLUSTERS = go -C test/clusters
# So is what makes the manual pages.
MAN = go -C dist/man
# And what makes the container images.
IMAGE = go -C dist/image
# And what makes archives and packages.
PACK = go -C dist/pack
# Who makes packages may have no Go yet, or an old one: as build.sh.
NEED_GO = . test/need.sh && need_go . &&
# Of the source.
REVISION ?= $(shell git rev-parse HEAD)
# The state with which the present one is compared: a git revision.
BEFORE = 214e941
BENCHSTAT = go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
# Always anew: Go's test cache cannot know the engine's state. Verbose: latencies and skips are reported.
E2E = go test -race -count=1 -p 1 -timeout 40m -v ./test/e2e ./test/convergence ./test/soak
HOSTS = go test -race -count=1 -timeout 30m -v ./test/hosts
SECONDARIES = go test -race -count=1 -timeout 30m -v ./test/secondaries
EXAMPLES = go test -race -count=1 -timeout 30m -v ./test/examples
DIST = go test -race -count=1 -timeout 20m -v ./test/dist
PACKAGES = go test -race -count=1 -timeout 20m -v ./test/packages
BROWSER = $(PAGE) test -race -count=1 -timeout 30m -v .

.PHONY: run build man dist dist-check test model e2e test-examples test-clusters test-engines test-hosts test-share test-swarm test-secondaries test-packages test-alerts test-page page-large screenshots situations soak lint bench bench-scale bench-hosts bench-status bench-lean bench-swarm bench-share bench-engine bench-crashes pgo

run: build
	./coredns -conf Corefile.example

build:
	./build.sh

# What is made for others is dated by SOURCE_DATE_EPOCH, or else by the last commit.
man dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

man:
	$(NEED_GO) $(MAN) run . $(CURDIR)/out/man
	. test/need.sh && need mandoc "have mandoc" install mandoc && mandoc -T lint -W warning out/man/*

# All that is given out, in out/: archives, packages, images, what is in them, and their sums. With TARGETS=linux/amd64 that of one target.
dist:
	@[ "$(REVISION)" ] && [ "$$SOURCE_DATE_EPOCH" ] || { echo "make dist: git tells nothing of this source: want VERSION=1.2.3 SOURCE_DATE_EPOCH=SECONDS REVISION=COMMIT" >&2; exit 1; }
	rm -rf out
	$(NEED_GO) $(MAN) run . $(CURDIR)/out/man
	$(NEED_GO) $(PACK) run . -targets "$(TARGETS)" $(CURDIR)/out
	$(NEED_GO) version=$$(dist/version) && for full in "" -full; do \
		$(IMAGE) run . -latest -version "$$version" -revision "$(REVISION)" $$full -docs $(CURDIR)/out/licences/dockerdiscovery$$full/linux $(CURDIR)/out $(CURDIR)/out/bin/dockerdiscovery$$full-linux-* || exit; \
	done
	cd out && sums=$$(find . -maxdepth 1 -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum) && echo "$$sums" >SHA256SUMS

# All targets, made in two folders with build caches of their own, are compared byte for byte: some hours on two processors.
dist-check:
	test/with-engine $(DIST) -timeout 3h -run TestSame -dist.fresh -dist.targets ""

test:
	test/with-engine --need chromium sh -ec '\
		go test -race $$(go list ./... | grep -vE "/test/(e2e|convergence|soak|hosts|examples|packages|dist|secondaries)$$|/internal/share$$"); \
		go test -race -count=1 ./internal/share; \
		go test -race -tags lean .; \
		$(BENCH) test -race ./...; \
		$(ALERTS) test -race -count=1 -v ./...; \
		$(MAN) test -race -v ./...; \
		$(IMAGE) test -race -v ./...; \
		$(PACK) test -race ./...; \
		$(E2E); \
		$(HOSTS); \
		$(BROWSER); \
		$(EXAMPLES); \
		$(CLUSTERS) test -race -count=1 -timeout 30m -v -run "TestClient|TestClusters/(NATS|memberlist|etcd)" .; \
		$(PACKAGES); \
		$(SECONDARIES); \
		$(DIST)'

# All schedules of up to seven steps, and long ones at random: some minutes. What it prints is the same each time.
model:
	go test -count=1 -timeout 60m -v ./internal/engine/tracker -run TestModel -model.depth 7 -model.seeds 100000

e2e:
	test/with-engine $(E2E)

# docs/compare.md has what is seen.
situations:
	test/with-engine go test -race -count=1 -timeout 20m ./test/e2e -run 'TestSituations$$' -e2e.situations $(CURDIR)/docs/situations.json
	go test -count=1 . -run TestCompared -compare.write

soak:
	go test -count=1 -timeout 40m -v ./test/soak -soak.duration 30m -soak.containers 5000

test-examples:
	test/with-engine $(EXAMPLES)

# All clusters, by the machine's engine and Docker 28.5. In make test three have the machine's.
test-clusters:
	test/with-engine test/clusters/suite docker-sid

test-packages:
	test/with-engine $(PACKAGES)

test-engines:
	test/with-engine test/engines/suite

# Three hosts with engines of three versions. In make test all have the machine's.
test-hosts:
	test/with-engine $(HOSTS) -hosts.engines docker-trixie,docker-sid -hosts.away 1m

# Ten thousand changes for BIND, Knot and maps. In make test there are a few hundred.
test-secondaries:
	test/with-engine $(SECONDARIES) -secondaries.changes 10000 -secondaries.points 100

# A Swarm of Docker 28.5 and 26.1 that loses its nodes in turn, and 500 replays of a recorded one, with faults. In make test it has
# the machine's engine and one fault, and there are 16 replays.
test-swarm:
	go test -race -count=1 -timeout 20m ./internal/swarm -run TestSeeds -swarm.seeds 500
	test/with-engine go test -race -count=1 -timeout 30m -v ./test/hosts -run 'TestSwarm$$' -hosts.engines docker-trixie,docker-sid -hosts.swarm

# Two hundred schedules of faults of etcd's and the hosts', an hour and more, and a minute without etcd. In make test there are two, and some seconds.
test-share:
	test/with-engine go test -race -count=1 -timeout 3h -v -run 'TestConverges|TestOutage' ./internal/share -share.seeds 200 -share.outage 1m

# In make test a fake engine is away, and minutes are seconds.
test-alerts:
	test/with-engine $(ALERTS) test -count=1 -timeout 20m -v -run TestEngineAwayFires -alerts.real

test-page:
	test/with-engine --need chromium $(BROWSER)

# How long a browser does not react that shows ten thousand containers.
page-large:
	test/with-engine --need chromium $(PAGE) test -count=1 -v -run TestLarge . -page.containers 10000

# The pictures in docs/status.md, with the fonts of this machine.
screenshots:
	test/with-engine --need chromium $(PAGE) test -count=1 -run TestScreenshots . -page.screenshots $(CURDIR)/docs/screenshots

lint:
	@unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "gofmt -w needed: $$unformatted"; exit 1; }
	go vet ./... && go run $(STATICCHECK) ./...
	go vet -tags lean . && go run $(STATICCHECK) -tags lean .
	$(BENCH) vet ./... && $(BENCH) run $(STATICCHECK) ./...
	$(ALERTS) vet ./... && $(ALERTS) run $(STATICCHECK) ./...
	$(PAGE) vet ./... && $(PAGE) run $(STATICCHECK) ./...
	$(CLUSTERS) vet ./... && $(CLUSTERS) run $(STATICCHECK) ./...
	$(MAN) vet ./... && $(MAN) run $(STATICCHECK) ./...
	$(IMAGE) vet ./... && $(IMAGE) run $(STATICCHECK) ./...
	$(PACK) vet ./... && $(PACK) run $(STATICCHECK) ./...

bench:
	for i in 1 2 3 4 5 6 7 8 9 10; do $(MICRO) && $(BENCH) test -run "^$$" -bench Plugin -benchtime 0.5s . || exit 1; done >bench.txt
	$(BENCHSTAT) -filter "-.name:Plugin" -col /view bench.txt && $(BENCHSTAT) -filter .name:Plugin -col /plugin bench.txt
	test/with-engine --need dnsperf $(BENCH) run . wire
	test/with-engine --need dnsperf $(BENCH) run . before $(BEFORE)

bench-scale:
	$(BENCH) run . scale

bench-hosts:
	$(BENCH) run . hosts

bench-status:
	test/with-engine --need dnsperf $(BENCH) run . status

bench-lean:
	test/with-engine $(BENCH) run . lean

bench-swarm:
	$(BENCH) run . swarm

bench-share:
	test/with-engine --need dnsperf $(BENCH) run . share

bench-engine:
	test/with-engine $(BENCH) run . engine

bench-crashes:
	test/with-engine --need dnsperf $(BENCH) run . crashes

pgo:
	test/with-engine --need dnsperf $(BENCH) run . pgo
