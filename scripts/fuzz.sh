#!/usr/bin/env bash
# Runs every fuzz target of the library for a short while, one after the other.
#
#   scripts/fuzz.sh [DURATION]    of each target, 10s by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOTOOLCHAIN=auto

for folder in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -rn1 dirname | sort -u); do
  for target in $(go test -list '^Fuzz' "./$folder" | grep '^Fuzz'); do
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-10s}" "./$folder"
  done
done
