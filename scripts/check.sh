#!/usr/bin/env bash
# What `make check` runs, over the three modules of the repository. Every check runs, even after one has
# failed; the exit status tells whether all were clean.
#
#   scripts/check.sh [CHECK...]    default: fmt vet staticcheck golangci tidy lint
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$PWD
export GOTOOLCHAIN=auto
modules=". examples benchmarks"

# each COMMAND...: in every module; fails if it failed in one.
each() {
  local rc=0 m
  for m in $modules; do
    (cd "$root/$m" && "$@") || rc=1
  done
  return $rc
}

fmt() {
  scripts/fmt.sh -l || {
    echo "these files are not formatted: make fmt"
    return 1
  }
}

vet() { each go vet ./... && go vet -tags judge ./...; }

staticcheck() { each "$root/.tools/staticcheck" -tags judge ./...; }

golangci() { each "$root/.tools/golangci-lint" run --build-tags judge ./...; }

tidy() { each go mod tidy -diff; }

# lint holds the import rules, the doc comments, the links and the rest of internal/lint.
lint() { go test -count=1 ./internal/lint/...; }

scripts/tools.sh || exit 1
[ $# -gt 0 ] || set -- fmt vet staticcheck golangci tidy lint
failed=""
for check in "$@"; do
  began=$SECONDS
  if "$check"; then
    echo "ok    $check ($((SECONDS - began)) s)"
  else
    echo "FAIL  $check ($((SECONDS - began)) s)"
    failed="$failed $check"
  fi
done
[ -z "$failed" ] || {
  echo "failed:$failed"
  exit 1
}
