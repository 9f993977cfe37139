#!/usr/bin/env bash
# The judge: the product on real data, against servers and readers that somebody else wrote.
#
#   judge/run.sh [CASE...]     all cases by default; `judge/run.sh list` prints them
#
# Each case puts a data set on a Kinesis stream, with malformed records in between, runs its pipeline
# (examples/datasets) with stops and starts, and compares the lake with answers that no code of this
# repository computed, by pyarrow, DuckDB and fastavro. One line a check, and a last line
# "N passed, N failed"; the exit status is 1 if one failed.
#
#   SHARDLAKE_DATA   folder of the data sets; ../shared/data beside the repository by default
#   JUDGE_SERVERS    servers to judge with: "kinesislocal ferrokinesis versitygw ministack dynalite" by
#                    default, without ferrokinesis where there is no cargo. A case whose server is not
#                    named is not run, and says so.
#   JUDGE_KEEP       1 keeps the lakes in .judge/run for a look
#   CHAOS_SECONDS    how long the cases chaos and chaos-hop disturb their fleets: 120 and 35 by default
#   CHAOS_SEED       of what it does: 1 by default, 0 to draw it
#
# Tools and servers are installed into .judge (scripts/venv.sh, scripts/servers.sh). Needs Go, Python 3.10,
# node 20 with npm, curl, and cargo with a C compiler for ferrokinesis. Everything listens on 127.0.0.1.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
data=${SHARDLAKE_DATA:-$root/../shared/data}
services=${JUDGE_SERVERS:-kinesislocal $(command -v cargo > /dev/null && echo ferrokinesis) versitygw ministack dynalite}
servers=${SERVERS_DIR:-$root/.judge/servers}
work=$root/.judge/run
results=$work/results.txt
began=$SECONDS
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest GOTOOLCHAIN=auto
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_KINESIS

readonly CASES="payloads stateful web-access web-access-log online-retail machine-sensors airport-weather nginx-status earthquakes
 throttled-web killed-web killed-sensors kinesislocal-nginx kinesislocal-quakes ferrokinesis-web ferrokinesis-sensors ferrokinesis-fanout s3-web s3-quakes s3-suite kinesis-suite dynamo-suite chaos chaos-kinesislocal chaos-hop self-check"
if [ "${1:-}" = list ]; then
  printf '%s\n' $CASES
  exit
fi

die() {
  echo "judge: $*" >&2
  exit 1
}

# --- Cases ----------------------------------------------------------------------------------------

# say prints a result line and keeps it.
say() { echo "$*" | tee -a "$results"; }

# play NAME SET FILE OPTION...: puts and runs. Its own line is a check: the pipeline read everything,
# stopped in good order each time, and left nothing unpublished.
play() {
  local name=$1 set=$2 file=$3 log=$work/$1.log line
  shift 3
  if line=$("$work/play" -set "$set" -data "$data/$file" -manifest "$work/$name.json" -leases "$work/$name.leases" "$@" 2> "$log"); then
    say "ok   $name: ${line#*: }"
  else
    say "FAIL $name: $(tail -n 1 "$log")"
    return 1
  fi
}

# check NAME SET FILE LAKE: compares. A checker that fails without saying so has failed too.
check() {
  local status=0 log=$work/$1.check
  "$python" judge/check.py --name "$1" --set "$2" --data "$data/$3" --answers "$data/$(dirname "$3")" --lake "$4" \
    --manifest "$work/$1.json" > "$log" 2>&1 || status=$?
  tee -a "$results" < "$log"
  if [ "$status" != 0 ] && ! grep -q '^FAIL ' "$log" || ! grep -q '^ok ' "$log"; then say "FAIL $1: the checker ended with status $status"; fi
}

# local_case NAME SET FILE OPTION...: with a lake in a folder.
local_case() {
  local name=$1 set=$2 file=$3
  shift 3
  play "$name" "$set" "$file" -lake "dir:$work/$name" "$@" || return 0
  check "$name" "$set" "$file" "dir:$work/$name"
  [ -n "${JUDGE_KEEP:-}" ] || rm -rf "${work:?}/$name" "$work/$name.leases"
}

# payloads NAME: records of many formats, each of which every codec reads. Then a judge of these that looks away
# is found out.
payloads() {
  local name=$1 kind damaged=$work/$1-damaged
  play "$name" payloads payloads -lake "dir:$work/$name" -shards 2 -restarts 2 || return 0
  judged() { "$python" judge/payloads.py --lake "$1" --data "$2" --manifest "$work/$name.json" "${@:3}" > "$work/$name.check" 2>&1; }
  judged "$work/$name" "$data/payloads" || grep -q '^FAIL ' "$work/$name.check" || say "FAIL $name: the checker ended with status $?"
  tee -a "$results" < "$work/$name.check"
  grep -q '^ok ' "$work/$name.check" || say "FAIL $name: nothing was checked"
  cp -r "$data/payloads" "$work/$name-more"
  chmod -R u+w "$work/$name-more"
  echo '{}' > "$work/$name-more/unheard-of.bin"
  noticed() {
    if grep -q '^FAIL ' "$work/$name.check"; then
      say "ok   $name: $1 is noticed, by $(grep -c '^FAIL ' "$work/$name.check") checks"
    else
      say "FAIL $name: $1 passes"
    fi
  }
  judged "$work/$name" "$work/$name-more" --codec json-sequence || true
  noticed "a file that the judge does not know"
  for kind in lost doubled flipped changed swapped; do
    cp -r "$work/$name" "$damaged"
    "$python" judge/damage.py "$kind" "$damaged/json-sequence"
    judged "$damaged" "$data/payloads" --codec json-sequence || true
    noticed "a lake with something $kind"
    rm -rf "$damaged"
  done
  [ -n "${JUDGE_KEEP:-}" ] || rm -rf "${work:?}/$name" "$work/$name-more"
}

# stateful NAME: every stage that keeps state, straight through, killed and stopped, in steps, and by a fleet under resharding.
stateful() {
  local name=$1
  play "$name" stateful . -lake "dir:$work/$name" -shards 3 || return 0
  "$python" judge/stateful.py --lake "$work/$name" --data "$data" --manifest "$work/$name.json" > "$work/$name.check" 2> "$work/$name.err" ||
    grep -q '^FAIL ' "$work/$name.check" || say "FAIL $name: the checker ended with status $?: $(tail -n 1 "$work/$name.err")"
  tee -a "$results" < "$work/$name.check"
  grep -q '^ok ' "$work/$name.check" || say "FAIL $name: nothing was checked"
  [ -n "${JUDGE_KEEP:-}" ] || rm -rf "${work:?}/$name"
}

# bucket_case NAME SET FILE OPTION...: with a lake in a bucket of its own.
bucket_case() {
  local name=$1 set=$2 file=$3 bucket left
  bucket=$1-$(date +%s)-$$
  shift 3
  "$python" judge/bucket.py "$VERSITYGW_ENDPOINT" "$bucket"
  play "$name" "$set" "$file" -lake "s3:$bucket@$VERSITYGW_ENDPOINT" "$@" || return 0
  check "$name" "$set" "$file" "s3:$bucket@$VERSITYGW_ENDPOINT"
  left=$(find "$servers/data/versitygw/$bucket/.sgwtmp" -type f 2> /dev/null | wc -l)
  if [ "$left" = 0 ]; then say "ok   $name: no upload is left over in the server"; else say "FAIL $name: $left files of unfinished uploads are left in the server"; fi
  [ -n "${JUDGE_KEEP:-}" ] || rm -rf "${servers:?}/data/versitygw/$bucket" "$work/$name.leases"
}

# suite runs the acceptance suite of stores against the S3 server.
suite() {
  local log=$work/s3-suite.log line status=0
  SHARDLAKE_S3_ENDPOINT=$VERSITYGW_ENDPOINT SHARDLAKE_S3_BUCKET=suite-$(date +%s)-$$ \
    go test -tags judge -count=1 -run '^TestJudge$' -v ./sink/s3/... > "$log" 2>&1 || status=$?
  while read -r line; do
    case $line in
      "--- PASS: TestJudge/"*/*) say "ok   s3-suite: ${line#--- PASS: TestJudge/}" ;;
      "--- FAIL: TestJudge"*) say "FAIL s3-suite: ${line#--- FAIL: }" ;;
    esac
  done < <(grep -E '^ *--- ' "$log")
  [ "$status" = 0 ] || say "FAIL s3-suite: $(tail -n 1 "$log"), see .judge/run/s3-suite.log"
}

# dynamo_suite NAME runs the acceptance suite of lease stores against each DynamoDB server. dynalite,
# which refuses what the service refuses, is asked too what our own server in process is asked.
dynamo_suite() {
  local name=$1 s endpoint packages log line status passed
  for s in ministack dynalite; do
    endpoint=${s^^}_ENDPOINT packages=./pipeline/lease/dynamo log=$work/$name-$s.log status=0 passed=0
    [ "$s" = ministack ] || packages=$packages/...
    SHARDLAKE_DYNAMODB_ENDPOINT=${!endpoint} go test -tags judge -count=1 -run '^TestJudge$' -v "$packages" > "$log" 2>&1 || status=$?
    while read -r line; do
      case $line in
        "--- PASS: TestJudge/"*/*)
          say "ok   $name: $s: ${line#--- PASS: TestJudge/}"
          passed=$((passed + 1))
          ;;
        "--- FAIL: TestJudge"*) say "FAIL $name: $s: ${line#--- FAIL: }" ;;
      esac
    done < <(grep -E '^ *--- ' "$log")
    [ "$status" = 0 ] && [ "$passed" != 0 ] || say "FAIL $name: $s: $(tail -n 1 "$log"), see .judge/run/$name-$s.log"
  done
}

# kinesis_suite NAME: what clients rely on in a Kinesis, against ours over a socket and against servers that are
# not ours, whose known gaps are declared.
kinesis_suite() {
  local name=$1 s test endpoint log line status passed
  for s in itself kinesislocal ferrokinesis; do
    [ "$s" = itself ] || has "$s" || continue
    test=TestJudge endpoint=${s^^}_ENDPOINT log=$work/$name-$s.log status=0 passed=0
    [ "$s" != itself ] || test=TestJudgeItself
    SHARDLAKE_KINESIS_SERVER=$s SHARDLAKE_KINESIS_ENDPOINT=${!endpoint-} go test -tags judge -count=1 -run "^$test\$" -v ./source/kinesis/kinesistest/conform > "$log" 2>&1 || status=$?
    while read -r line; do
      case $line in
        "--- PASS: $test/"*)
          say "ok   $name: $s: ${line#--- PASS: "$test"/}"
          passed=$((passed + 1))
          ;;
        "--- FAIL: $test"*) say "FAIL $name: $s: ${line#--- FAIL: }" ;;
      esac
    done < <(grep -E '^ *--- ' "$log")
    [ "$status" = 0 ] && [ "$passed" != 0 ] || say "FAIL $name: $s: $(tail -n 1 "$log"), see .judge/run/$name-$s.log"
  done
}

# chaos NAME OPTION...: a fleet of processes under faults (examples/chaos), whose oracle prints the checks.
chaos() {
  local name=$1 log=$work/$1.out status=0
  shift
  mkdir "$work/$name"
  # tee -i: after Ctrl-C the driver still has something to say, and workers to stop.
  "$work/chaos-driver" -name "$name" -dir "$work/$name" -worker "$work/chaos-worker" -python "$python" -oracle "${ORACLE:-judge/chaos.py}" \
    -s3 "$VERSITYGW_ENDPOINT" "$@" 2>&1 | tee -i "$log" || status=$?
  grep -E '^(ok  |FAIL) ' "$log" >> "$results" || true
  if [ "$status" != 0 ]; then
    say "FAIL $name: $(tail -n 1 "$log"), see .judge/run/$name"
    return 0
  fi
  say "ok   $name: $(sed -n 's/^chaos: //p' "$log" | tail -n 1)"
  [ -n "${JUDGE_KEEP:-}" ] || rm -rf "${servers:?}/data/versitygw/$name"-*
}

# self_check damages a lake in several ways, each of which the checkers must notice.
self_check() {
  local file=earthquakes/quakes.jsonl.gz kind status damaged=$work/self-check-damaged
  play "$1" earthquakes "$file" -lake "dir:$work/$1" -restarts 1 -close || return 0
  for kind in lost doubled flipped changed swapped; do
    cp -r "$work/$1" "$damaged"
    "$python" judge/damage.py "$kind" "$damaged"
    status=0
    "$python" judge/check.py --name "$1" --set earthquakes --data "$data/$file" --answers "$data/earthquakes" --lake "dir:$damaged" \
      --manifest "$work/$1.json" > "$work/$1-$kind.log" 2>&1 || status=$?
    if [ "$status" = 1 ] && grep -q '^FAIL ' "$work/$1-$kind.log"; then
      say "ok   $1: a lake with something $kind is noticed, by $(grep -c '^FAIL ' "$work/$1-$kind.log") checks"
    else
      say "FAIL $1: a lake with something $kind passes"
    fi
    rm -rf "$damaged"
  done
  rm -rf "${work:?}/$1" "$work/$1.leases"
}

has() { [[ " $services " == *" $1 "* ]]; }

# run CASE
run() {
  local web=web-access/events.jsonl.gz retail=online-retail/invoice-lines.jsonl.gz sensors=machine-sensors/readings.jsonl.gz
  local weather=airport-weather/weather.csv.gz nginx=nginx-status/status.jsonl.gz quakes=earthquakes/quakes.jsonl.gz
  case $1 in
    payloads) payloads "$1" ;;
    stateful) stateful "$1" ;;
    # Windows that are open at the end stay open; shards are split and merged in the middle.
    web-access) local_case "$1" web-access $web -payloads "$data/payloads" -malformed 60 -restarts 3 -reshard ;;
    web-access-log) local_case "$1" web-access-log web-access/access.log.gz -shards 2 -restarts 1 ;;
    online-retail) local_case "$1" online-retail $retail -restarts 1 ;;
    machine-sensors) local_case "$1" machine-sensors $sensors -restarts 2 ;;
    # A Kinesis that throttles writers and readers as the service does.
    throttled-web) local_case "$1" web-access $web -limits -strict -shards 2 -malformed 12 -restarts 1 -close ;;
    # The pipeline is a process of its own that is killed (SIGKILL), several times, before it may finish.
    killed-web) local_case "$1" web-access $web -kills 8 -reshard -close ;;
    killed-sensors) local_case "$1" machine-sensors $sensors -kills 5 -restarts 1 ;;
    # All shards are closed at the end, so all windows fire and the answers must be met in full.
    airport-weather) local_case "$1" airport-weather $weather -restarts 2 -close ;;
    nginx-status) local_case "$1" nginx-status $nginx -restarts 4 -close ;;
    earthquakes) local_case "$1" earthquakes $quakes -restarts 4 -reshard -close ;;
    # Kinesis servers of others.
    kinesislocal-nginx) local_case "$1" nginx-status $nginx -endpoint "$KINESISLOCAL_ENDPOINT" -stream "$1-$$" -strict -restarts 1 ;;
    kinesislocal-quakes) local_case "$1" earthquakes $quakes -endpoint "$KINESISLOCAL_ENDPOINT" -stream "$1-$$" -restarts 1 -reshard -close ;;
    ferrokinesis-web) local_case "$1" web-access $web -endpoint "$FERROKINESIS_ENDPOINT" -stream "$1-$$" -strict -restarts 2 -reshard -close ;;
    ferrokinesis-sensors) local_case "$1" machine-sensors $sensors -endpoint "$FERROKINESIS_ENDPOINT" -stream "$1-$$" -strict -restarts 1 -close ;;
    ferrokinesis-fanout) local_case "$1" machine-sensors $sensors -endpoint "$FERROKINESIS_ENDPOINT" -stream "$1-$$" -consumer judge -strict -restarts 1 -reshard -close ;;
    # An S3 server of others.
    s3-web) bucket_case "$1" web-access $web -restarts 2 -close ;;
    s3-quakes) bucket_case "$1" earthquakes $quakes -restarts 1 -close ;;
    s3-suite) suite ;;
    # Two DynamoDB servers of others.
    dynamo-suite) dynamo_suite "$1" ;;
    kinesis-suite) kinesis_suite "$1" ;;
    # A fleet of processes. Volume on one server; the other one names the children of a shard that has ended, as the
    # service does, and takes a few records a second.
    chaos) chaos "$1" -kinesis "$FERROKINESIS_ENDPOINT" -dynamodb "$MINISTACK_ENDPOINT" -for "${CHAOS_SECONDS:-120}s" -seed "${CHAOS_SEED:-1}" ;;
    chaos-kinesislocal) chaos "$1" -kinesis "$KINESISLOCAL_ENDPOINT" -dynamodb "$DYNALITE_ENDPOINT" -for 60s -rate 8 ;;
    # Two groups of them, joined by a stream.
    chaos-hop) ORACLE=judge/hop.py chaos "$1" -kinesis "$FERROKINESIS_ENDPOINT" -dynamodb "$MINISTACK_ENDPOINT" -hop -workers 2 -shards 3 -rate 200 -gap 1500ms -for "${CHAOS_SECONDS:-35}s" -seed "${CHAOS_SEED:-1}" ;;
    self-check) self_check "$1" ;;
    *) die "unknown case $1: judge/run.sh list" ;;
  esac
}

# server CASE prints the servers that a case needs.
server() {
  case $1 in
    kinesislocal-*) echo kinesislocal ;;
    ferrokinesis-*) echo ferrokinesis ;;
    s3-*) echo versitygw ;;
    kinesis-suite) echo kinesislocal ferrokinesis ;;
    dynamo-*) echo ministack dynalite ;;
    chaos | chaos-hop) echo ferrokinesis ministack versitygw ;;
    chaos-kinesislocal) echo kinesislocal dynalite versitygw ;;
  esac
}

# lacking CASE prints the servers that a case needs and JUDGE_SERVERS does not name.
lacking() {
  local s
  for s in $(server "$1"); do
    has "$s" || echo "$s"
  done
}

# --- The run --------------------------------------------------------------------------------------

cases=${*:-$CASES}
if grep -qvE '^(chaos.*|.*-suite)$' <<< "${cases// /$'\n'}"; then
  [ -d "$data" ] || die "the data sets are not in $data: set SHARDLAKE_DATA to their folder"
  data=$(cd "$data" && pwd)
  for set in web-access online-retail machine-sensors airport-weather nginx-status earthquakes payloads; do
    [ -d "$data/$set" ] || die "data set $set is not in $data"
  done
fi
needed=
for c in $cases; do
  [ -z "$(lacking "$c")" ] || continue
  for s in $(server "$c"); do
    [[ " $needed " == *" $s "* ]] || needed="$needed $s"
  done
done

rm -rf "$work"
mkdir -p "$work"
: > "$results"
python=$(scripts/venv.sh)
export PYTHONDONTWRITEBYTECODE=1
(cd examples && go build -o "$work/play" ./datasets/play && go build -o "$work/chaos-driver" ./chaos && go build -o "$work/chaos-worker" ./chaos/worker)
if [ -n "$needed" ]; then
  scripts/servers.sh install $needed
  for s in $needed; do
    scripts/servers.sh status | grep -q "^$s up" && die "$s runs already, for somebody else: scripts/servers.sh stop"
  done
  trap 'scripts/servers.sh stop $needed' EXIT
  trap 'exit 130' INT TERM
  scripts/servers.sh start $needed
  # shellcheck disable=SC1091
  . "$servers/run/endpoints.env"
fi
echo "judge: tools are ready after $((SECONDS - began)) s"

for c in $cases; do
  s=$(lacking "$c")
  if [ -n "$s" ]; then
    echo "judge: $c is not run: $(echo $s) is not among JUDGE_SERVERS"
    continue
  fi
  run "$c"
done

if [ -n "$needed" ]; then
  trap - EXIT
  scripts/servers.sh stop $needed
fi
passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAIL ' "$results" || true)
echo "judge: $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
