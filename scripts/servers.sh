#!/usr/bin/env bash
# Servers that somebody else wrote, for `make judge`: Kinesis, S3 and DynamoDB on 127.0.0.1.
#
#   scripts/servers.sh install [SERVICE...]   default: kinesislocal versitygw
#   scripts/servers.sh start   [SERVICE...]   the same; prints the endpoints once each server answers
#   scripts/servers.sh stop    [SERVICE...]   default: all that start began
#   scripts/servers.sh status
#
#   kinesislocal   Kinesis, control plane: lineage, ChildShards, paging. Slow (0.6 MB/s), so keep to
#                  fewer than 1,000 records. npm, installed in seconds.
#   ferrokinesis   Kinesis, data plane: any volume. Built with cargo, 4 to 8 minutes once.
#   versitygw      S3. Keys: test / testtest. Built with Go, 1 to 3 minutes once.
#   ministack      DynamoDB, and nothing else of what it has. pip, 20 s.
#   dynalite       DynamoDB: strict on conditional writes, but a failed one never shows the item. npm,
#                  installed in seconds.
#
# Everything lies below SERVERS_DIR (default: .judge/servers in the repository); SERVERS_SECONDS bounds
# each installation (default 900). Ports are free ones, chosen at start. $SERVERS_DIR/run/endpoints.env
# then holds one line for each server, to be sourced: KINESISLOCAL_ENDPOINT=http://127.0.0.1:PORT, ...
# A server that listens on anything but loopback is stopped at once and start fails. Servers are stopped
# by recorded pid and start time, never by name. Needs Linux, bash, curl, awk, and: node 20 or later with
# npm (kinesislocal, dynalite), cargo and a C compiler (ferrokinesis), Go (versitygw), Python 3.10
# (ministack).
set -euo pipefail

readonly KINESISLOCAL_VERSION=0.6.2
readonly FERROKINESIS_VERSION=0.7.0
readonly VERSITYGW_VERSION=v1.8.0
readonly MINISTACK_VERSION=1.5.33
readonly DYNALITE_VERSION=4.0.0
readonly DEFAULTS="kinesislocal versitygw"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=${SERVERS_SECONDS:-900}

die() {
  echo "servers.sh: $*" >&2
  exit 1
}

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

# --- Installing -----------------------------------------------------------------------------------

# loopback_shim builds a library for LD_PRELOAD that turns a bind to every interface into a bind to
# loopback: ferrokinesis has no option for its address.
loopback_shim() {
  [ -s "$dir/bin/loopback.so" ] && return
  cat > "$dir/bin/loopback.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *a, socklen_t n) {
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  if (a && a->sa_family == AF_INET && n >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in s = *(const struct sockaddr_in *)a;
    if (s.sin_addr.s_addr == htonl(INADDR_ANY)) s.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(fd, (struct sockaddr *)&s, sizeof s);
  }
  if (a && a->sa_family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 s = *(const struct sockaddr_in6 *)a;
    if (IN6_IS_ADDR_UNSPECIFIED(&s.sin6_addr)) s.sin6_addr = in6addr_loopback;
    return real(fd, (struct sockaddr *)&s, sizeof s);
  }
  return real(fd, a, n);
}
C
  cc -shared -fPIC -O2 -o "$dir/bin/loopback.so" "$dir/bin/loopback.c" -ldl || die "cc failed"
}

# loopback_js writes a module for node -r: every TCP listener of the process goes to 127.0.0.1.
loopback_js() {
  cat > "$dir/bin/loopback.js" <<'JS'
const net = require('net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...a) {
  if (/^\d+$/.test(String(a[0])))
    return listen.call(this, { port: Number(a[0]), host: '127.0.0.1' }, a.find((x) => typeof x === 'function'));
  if (a[0] && typeof a[0] === 'object' && a[0].port !== undefined) a[0] = { ...a[0], host: '127.0.0.1' };
  return listen.apply(this, a);
};
JS
}

# installed SERVICE VERSION: is that very version here?
installed() { [ "$(cat "$dir/bin/$1.version" 2>/dev/null)" = "$2" ]; }

# bounded COMMAND...: at low priority, for at most $seconds; what it prints goes to a log.
bounded() {
  local log=$dir/run/install-$service.log
  nice -n 10 timeout "$seconds" "$@" > "$log" 2>&1 < /dev/null || {
    tail -n 15 "$log" >&2
    die "$service: not installed (limit $seconds s; see $log)"
  }
}

install_one() {
  local service=$1 version began=$SECONDS
  case $service in
    kinesislocal)
      version=$KINESISLOCAL_VERSION
      loopback_js
      installed "$service" "$version" || bounded npm install --prefix "$dir/npm" --no-package-lock \
        --omit=dev --omit=optional --no-audit --no-fund --loglevel=error "kinesis-local@$version"
      ;;
    ferrokinesis)
      version=$FERROKINESIS_VERSION
      loopback_shim
      # Speed of building over speed of running: the crate's own profile takes twice as long. The build
      # folder stays until the build has succeeded, so a second try goes on where the first was stopped.
      installed "$service" "$version" || CARGO_TARGET_DIR="$dir/build" CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        bounded cargo install ferrokinesis --version "$version" --locked --root "$dir" --no-track --force
      rm -rf "$dir/build"
      ;;
    versitygw)
      version=$VERSITYGW_VERSION
      installed "$service" "$version" || GOBIN="$dir/bin" GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false \
        bounded go install "github.com/versity/versitygw/cmd/versitygw@$version"
      ;;
    ministack)
      version=$MINISTACK_VERSION
      [ -x "$dir/python/bin/pip" ] || bounded python3 -m venv "$dir/python"
      installed "$service" "$version" || bounded "$dir/python/bin/pip" install -q --disable-pip-version-check "ministack==$version"
      ;;
    dynalite)
      version=$DYNALITE_VERSION
      loopback_js
      installed "$service" "$version" || bounded npm install --prefix "$dir/npm" --no-package-lock \
        --omit=dev --omit=optional --no-audit --no-fund --loglevel=error "dynalite@$version"
      ;;
    *) die "unknown service $service" ;;
  esac
  echo "$version" > "$dir/bin/$service.version"
  echo "$service $version installed in $((SECONDS - began)) s"
}

# --- Running --------------------------------------------------------------------------------------

# free_port prints a port on which nothing listens, below the range that outgoing connections use.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || {
      echo "$port"
      return
    }
  done
  die "no free port found"
}

# serve SERVICE PORT replaces this shell by the server.
serve() {
  case $1 in
    kinesislocal)
      cd "$dir/npm/node_modules/kinesis-local" # it reads server.json from the working directory
      export KINESIS_MOCK_PLAIN_PORT=$2 SHARD_LIMIT=400 LOG_LEVEL=WARN
      KINESIS_MOCK_TLS_PORT=$(free_port)
      export KINESIS_MOCK_TLS_PORT CREATE_STREAM_DURATION=100ms DELETE_STREAM_DURATION=50ms \
        SPLIT_SHARD_DURATION=100ms MERGE_SHARDS_DURATION=100ms UPDATE_SHARD_COUNT_DURATION=100ms \
        REGISTER_STREAM_CONSUMER_DURATION=100ms
      exec node -r "$dir/bin/loopback.js" main.js
      ;;
    ferrokinesis)
      LD_PRELOAD=$dir/bin/loopback.so exec "$dir/bin/ferrokinesis" --port "$2" --shard-limit 400 \
        --create-stream-ms 100 --delete-stream-ms 50 --update-stream-ms 100 --max-request-body-mb 64 --log-level warn
      ;;
    versitygw)
      mkdir -p "$dir/data/versitygw"
      exec "$dir/bin/versitygw" --port "127.0.0.1:$2" --access test --secret testtest --quiet \
        posix "$dir/data/versitygw"
      ;;
    ministack) # by default it binds every interface, opens more ports, and looks for Docker
      mkdir -p "$dir/data/ministack"
      export BIND_HOST=127.0.0.1 GATEWAY_PORT=$2 SERVICES=dynamodb IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 \
        TMPDIR="$dir/data/ministack" DOCKER_HOST=unix:///nonexistent LOG_LEVEL=WARNING
      exec "$dir/python/bin/ministack"
      ;;
    dynalite)
      exec node -r "$dir/bin/loopback.js" "$dir/npm/node_modules/dynalite/cli.js" --port "$2" \
        --createTableMs 20 --updateTableMs 20 --deleteTableMs 20
      ;;
  esac
}

# started PID prints the start time of a process: with the pid it names one process for good.
started() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }

# alive SERVICE: does the process that start recorded still run? Sets $pid.
alive() {
  local since
  [ -s "$dir/run/$1.pid" ] && read -r pid since < "$dir/run/$1.pid" && [ "$(started "$pid")" = "$since" ]
}

# exposed PID prints every address beyond loopback on which the process listens, in the kernel's hex.
exposed() {
  local inodes
  inodes=$(for fd in /proc/"$1"/fd/*; do readlink "$fd" || true; done 2> /dev/null | sed -n 's/^socket:\[\(.*\)\]$/\1/p')
  cat /proc/net/tcp /proc/net/tcp6 2> /dev/null | awk -v inodes="$inodes" '
    BEGIN { n = split(inodes, x, "\n"); for (i = 1; i <= n; i++) ours[x[i]] = 1 }
    $4 == "0A" && ($10 in ours) {
      split($2, a, ":")
      host = a[1] # bytes of each 32-bit word in reverse order
      if (host ~ /^0000000000000000FFFF0000/) host = substr(host, 25) # IPv4 in IPv6 notation
      v4 = length(host) == 8 && host ~ /7F$/                          # 127.x.y.z
      v6 = host == "00000000000000000000000001000000"                 # ::1
      if (!v4 && !v6) print $2
    }'
}

start_one() {
  local service=$1 port path=/ want='[1-5][0-9][0-9]' code="" began
  [ -s "$dir/bin/$service.version" ] || die "$service is not installed: scripts/servers.sh install $service"
  alive "$service" && die "$service runs already, as pid $pid: scripts/servers.sh stop"
  port=$(free_port)
  [ "$service" = ferrokinesis ] && path=/_health/ready want=200
  [ "$service" = ministack ] && path=/_ministack/ready want=200
  began=$(date +%s%3N)
  (serve "$service" "$port") > "$dir/run/$service.log" 2>&1 < /dev/null &
  pid=$!
  echo "$pid $(started "$pid")" > "$dir/run/$service.pid"
  for _ in $(seq 600); do
    alive "$service" || {
      tail -n 5 "$dir/run/$service.log" >&2
      rm -f "$dir/run/$service.pid"
      die "$service ended at once"
    }
    code=$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port$path") || true
    [[ $code =~ ^$want$ ]] && break
    code=""
    sleep 0.1
  done
  [ -n "$code" ] || {
    stop_one "$service"
    die "$service did not answer for 60 s; see $dir/run/$service.log"
  }
  local open
  open=$(exposed "$pid")
  [ -z "$open" ] || {
    stop_one "$service"
    die "$service listened beyond loopback: $open"
  }
  local name=${service^^}_ENDPOINT
  touch "$dir/run/endpoints.env"
  sed -i "/^$name=/d" "$dir/run/endpoints.env"
  echo "$name=http://127.0.0.1:$port" | tee -a "$dir/run/endpoints.env"
  echo "$service ready after $(($(date +%s%3N) - began)) ms, pid $pid" >&2
}

stop_one() {
  local service=$1 how=stopped
  if alive "$service"; then
    kill "$pid"
    for _ in $(seq 50); do
      alive "$service" || break
      sleep 0.1
    done
    if alive "$service"; then
      kill -9 "$pid"
      how=killed
    fi
    echo "$service $how, pid $pid" >&2
  fi
  rm -f "$dir/run/$service.pid"
  [ -e "$dir/run/endpoints.env" ] && sed -i "/^${service^^}_ENDPOINT=/d" "$dir/run/endpoints.env"
  return 0
}

recorded() {
  local f
  for f in "$dir"/run/*.pid; do
    [ -e "$f" ] && basename "$f" .pid
  done
  return 0
}

command=${1:-}
[ -n "$command" ] || {
  usage
  exit 2
}
shift
dir=${SERVERS_DIR:-$root/.judge/servers}
mkdir -p "$dir/run" "$dir/bin" "$dir/data"
dir=$(cd "$dir" && pwd)
# shellcheck disable=SC2086 # the defaults are words
case $command in
  install) for s in "${@:-$DEFAULTS}"; do for s in $s; do install_one "$s"; done; done ;;
  start) for s in "${@:-$DEFAULTS}"; do for s in $s; do start_one "$s"; done; done ;;
  stop) for s in "${@:-$(recorded)}"; do for s in $s; do stop_one "$s"; done; done ;;
  status) for s in $(recorded); do if alive "$s"; then echo "$s up, pid $pid"; else echo "$s down"; fi; done ;;
  *)
    usage
    exit 2
    ;;
esac
