# Shared by the scripts here; not a program.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STATE=${STATE:-${TESTBED_DIR:-/tmp}/gitops-testbed}
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gitops-testbed}
export KUBECONFIG=${KUBECONFIG:-${TESTBED_DIR:-/tmp}/harvester-testbed/kubeconfig}
PORT=${PORT:-18480}                     # this one and the eleven after it
forge_port=$PORT source_port=$((PORT + 1)) redis_port=$((PORT + 2)) manifests_port=$((PORT + 3))
REPO=http://127.0.0.1:$forge_port/platform.git
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

stop() { # stop NAME
    local pid start
    if alive "$1"; then
        read -r pid start <"$RUN/$1.pid"
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq 100); do alive "$1" || break; sleep 0.1; done
        if alive "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$RUN/$1.pid"
}

wait_for() { # wait_for SECONDS WHAT COMMAND...
    local deadline=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || die "gave up waiting for $what; logs are in $LOG"
        sleep 0.5
    done
}
