# Lint's version is part of the source, as every other dependency's.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Always anew: Go's test cache cannot know the engine's state. Verbose: latencies and skips are reported.
E2E = go test -race -count=1 -timeout 20m -v ./test/e2e

.PHONY: run build test e2e lint

run: build
	./coredns -conf Corefile.example

build:
	./build.sh

test:
	test/with-engine sh -c 'go test -race $$(go list ./... | grep -v /test/e2e$$) && $(E2E)'

e2e:
	test/with-engine $(E2E)

lint:
	@unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "gofmt -w needed: $$unformatted"; exit 1; }
	go vet ./... && go run $(STATICCHECK) ./...
