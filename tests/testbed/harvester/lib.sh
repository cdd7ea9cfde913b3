# Shared by the scripts here; not a program.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STATE=${STATE:-${TESTBED_DIR:-/tmp}/harvester-testbed}
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/harvester-testbed}
API_PORT=${API_PORT:-16443}
ETCD_PORT=${ETCD_PORT:-12379}
OVA_PORT=${OVA_PORT:-18090}
# The API server refuses to proxy to 127.0.0.0/8. So in a network namespace of its
# own (../in-net) the file server gets an address of that little network; in the
# machine's it stays on the loopback address, and is read directly.
if [ -z "${ENGINE_ADDRESS:-}" ]; then
    ENGINE_ADDRESS=127.0.0.1
    [ "$(readlink /proc/self/ns/net)" = "$(readlink /proc/1/ns/net)" ] || ENGINE_ADDRESS=198.18.0.1
fi
case $ENGINE_ADDRESS in 127.*) OWN_NET= ;; *) OWN_NET=yes ;; esac
export KUBECONFIG=$STATE/kubeconfig
RUN=$STATE/run LOG=$STATE/log
mkdir -p "$RUN" "$LOG"

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# A process is known by its number and the time it started.
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

alive() { # alive NAME
    local pid start
    read -r pid start 2>/dev/null <"$RUN/$1.pid" || return 1
    [ -n "$pid" ] && [ "$(born "$pid")" = "$start" ]
}

start() { # start NAME COMMAND...
    local name=$1; shift
    alive "$name" && return 0
    setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null &
    local pid=$!
    for _ in 1 2 3 4 5; do [ -n "$(born $pid)" ] && break; sleep 0.1; done
    echo "$pid $(born $pid)" >"$RUN/$name.pid"
    disown $pid
}

stop() { # stop NAME [SIGNAL [SECONDS]]
    local pid start
    if alive "$1"; then
        read -r pid start <"$RUN/$1.pid"
        kill -"${2:-TERM}" "$pid" 2>/dev/null || true
        for _ in $(seq $((${3:-10} * 10))); do alive "$1" || break; sleep 0.1; done
        if alive "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$RUN/$1.pid"
}

wait_for() { # wait_for SECONDS WHAT COMMAND...
    local deadline=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || die "gave up waiting for $what; logs are in $LOG"
        sleep 0.3
    done
}
