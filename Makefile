# The one entry point: `make check` is what CI runs, with the same command.

GOLANGCI_LINT := v2.15.0
GOVULNCHECK   := v1.8.0
FUZZTIME      ?= 30s

# Built once per version and compiler, shared by all clones on this machine. They are not
# tool lines in go.mod, because hundreds of modules of a linter would become part of ours.
TOOLS := $(dir $(shell go env GOCACHE))jeton-tools/$(shell go env GOVERSION)
LINT  := $(TOOLS)/golangci-lint@$(GOLANGCI_LINT)/golangci-lint
VULN  := $(TOOLS)/govulncheck@$(GOVULNCHECK)/govulncheck

# Where goroutines share state. The tests of internal/server drive the stores, the feed
# and the guard together; the rest of the tree takes three times as long:
# make race RACE=./...
RACE := . ./revocation ./jwk ./jwt ./client ./internal/tokens ./internal/feed ./internal/dpop ./internal/server

.PHONY: build test race cover faults fuzz lint vuln bench check run packages side-by-side
.NOTPARALLEL:

build:
	CGO_ENABLED=0 go build -trimpath -o bin/jeton ./cmd/jeton

# JETON_TEST_ALL: a missing browser or server fails the test instead of skipping it.
test: packages
	JETON_TEST_ALL=1 go test ./...
	cd grpcguard && go test ./...
	cd jwk/etcd && JETON_TEST_ALL=1 go test ./...
	cd jwk/wycheproof && go test ./...

# 64 callers on two connections are for make test: under the race detector, on two
# cores, they run into the time limits of callers and database.
race: packages
	CGO_ENABLED=1 JETON_TEST_ALL=1 go test -race -skip '^TestNodes_NothingStalls$$' $(RACE)

cover: packages
	JETON_TEST_ALL=1 go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -n 1

# What breaks when is decided by a seed, which the run prints: SEED=… repeats it.
SEED ?= 0
faults: packages
	JETON_TEST_ALL=1 go test ./internal/faults -count=1 -v -timeout 30m -long 35s -seed $(SEED)

fuzz:
	@scripts/fuzz $(FUZZTIME)

lint: $(LINT)
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt would change: $$files"; exit 1; }
	go vet ./...
	$(LINT) run
	cd grpcguard && go vet ./... && $(LINT) run
	cd jwk/etcd && go vet ./... && $(LINT) run
	cd jwk/wycheproof && go vet ./... && $(LINT) run

# Needs the Go vulnerability database, so it is not part of check.
vuln: $(VULN)
	$(VULN) ./...

# The authority over HTTP beside a bare handler, then the library beside raw cryptography.
bench:
	go run ./internal/bench
	go test -run '^$$' -bench . -benchmem . ./jwt ./revocation ./internal/seen ./internal/store/sqlite

# The last tag's binary and this one on one database; nothing before the first tag.
side-by-side: packages
	@scripts/side-by-side

check: lint test race side-by-side

run:
	go run ./cmd/jeton dev

packages:
	@scripts/install-test-packages

$(LINT):
	GOBIN=$(@D) CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)

$(VULN):
	GOBIN=$(@D) CGO_ENABLED=0 go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK)
