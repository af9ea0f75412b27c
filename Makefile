# Lint's version is part of the source, as every other dependency's.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Each round runs all, so that both sides of a comparison meet the same noise.
BENCH = go test -run "^$$" -bench . -benchtime 0.5s ./internal/zone ./plugin/dockerdiscovery
BENCHSTAT = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
# Always anew: Go's test cache cannot know the engine's state. Verbose: latencies and skips are reported.
E2E = go test -race -count=1 -p 1 -timeout 20m -v ./test/e2e ./test/convergence ./test/soak

.PHONY: run build test e2e test-engines soak bench lint

run: build
	./coredns -conf Corefile.example

build:
	./build.sh

test:
	test/with-engine sh -c 'go test -race $$(go list ./... | grep -vE "/test/(e2e|convergence|soak)$$") && $(E2E)'

e2e:
	test/with-engine $(E2E)

soak:
	go test -count=1 -timeout 40m -v ./test/soak -soak.duration 30m -soak.containers 5000

test-engines:
	test/with-engine test/engines/suite

lint:
	@unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "gofmt -w needed: $$unformatted"; exit 1; }
	go vet ./... && go run $(STATICCHECK) ./...

bench:
	for i in 1 2 3 4 5 6 7 8 9 10; do $(BENCH) || exit 1; done >bench.txt && go run $(BENCHSTAT) -col /view bench.txt
