#!/usr/bin/env bash
# Formats every Go file of the repository, or with -l lists those that are not formatted and fails if there
# are any. Uses the gofmt of the toolchain that go.mod names: switching toolchains does not switch gofmt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOTOOLCHAIN=auto

mode=${1:--w}
changed=$(find . -name '*.go' -not -path './.*' -print0 | xargs -0 "$(go env GOROOT)/bin/gofmt" -s -l "$mode")
[ -z "$changed" ] || echo "$changed"
[ "$mode" = -w ] || [ -z "$changed" ]
