#!/usr/bin/env bash
# Installs the tools of `make check` into ./.tools, at pinned versions and built by the toolchain of go.mod
# (a linter cannot read code of a newer Go than it was built with). Skips what is there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TOOLS="
honnef.co/go/tools/cmd/staticcheck honnef.co/go/tools v0.8.2
github.com/golangci/golangci-lint/v2/cmd/golangci-lint github.com/golangci/golangci-lint/v2 v2.15.0
"

export GOTOOLCHAIN=auto # as in the Makefile, for whoever calls this directly
toolchain=$(go env GOVERSION)
export GOBIN=$PWD/.tools
mkdir -p "$GOBIN"
while read -r package module version; do
  [ -n "$package" ] || continue
  # First line: "<file>: go1.27.4"; one of the following: "mod <module> <version> <sum>".
  have=$([ ! -x "$GOBIN/${package##*/}" ] || go version -m "$GOBIN/${package##*/}" | awk -v m="$module" 'NR == 1 { g = $2 } $1 == "mod" && $2 == m { print g, $3 }')
  [ "$have" = "$toolchain $version" ] && continue
  began=$SECONDS
  GOTOOLCHAIN=$toolchain GOFLAGS=-buildvcs=false go install "$package@$version"
  echo "${package##*/} $version installed in $((SECONDS - began)) s"
done <<< "$TOOLS"
