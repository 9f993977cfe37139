#!/usr/bin/env bash
# Makes ./.judge/venv with the readers that judge the files, at pinned versions, and prints the path of
# its python3. Does nothing if that very set is there already. Needs Python 3.10 or later.
#
#   scripts/venv.sh [FOLDER]
set -euo pipefail

# duckdb and pyarrow read Parquet, fastavro reads Avro; backports.zstd and cramjam are its codecs.
readonly READERS="duckdb==2.0.1 pyarrow==26.0.1 fastavro==1.13.1 backports.zstd==1.8.0 cramjam==2.14.0"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${1:-$root/.judge/venv}

if [ "$(cat "$venv/readers" 2> /dev/null)" != "$READERS" ] || ! "$venv/bin/python3" -c pass 2> /dev/null; then
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "venv.sh: python3 is older than 3.10" >&2
    exit 1
  }
  python3 -m venv "$venv"
  # shellcheck disable=SC2086 # a list of words; wheels only, so that nothing is compiled
  timeout "${VENV_SECONDS:-600}" "$venv/bin/python3" -m pip install --quiet --no-input --disable-pip-version-check \
    --only-binary=:all: $READERS < /dev/null >&2
  "$venv/bin/python3" -c 'import cramjam, duckdb, fastavro, pyarrow.parquet; from backports import zstd'
  echo "$READERS" > "$venv/readers"
fi
echo "$venv/bin/python3"
