# Shared by up and down. Sourced, not run.
STATE=${STATE:-${TESTBED_DIR:-/tmp}/openstack-testbed}
case $STATE in /*) ;; *) STATE=$PWD/$STATE ;; esac
ADDR=127.0.0.1
PY=/usr/bin/python3            # Debian's, never a pyenv shim: the packages live there
ADMIN_PASS=testbed-admin
SERVICE_PASS=testbed-service
DB_PORT=${DB_PORT:-13306}
CACHE_PORT=${CACHE_PORT:-11311}
AMQP_PORT=${AMQP_PORT:-5672}
EPMD_PORT=${EPMD_PORT:-14369}
DIST_PORT=${DIST_PORT:-25672}
export FAULTS_PORT=${FAULTS_PORT:-28000}

# name, plain port, TLS port, port of the proxy that injects faults
ENDPOINTS="keystone:5000:15000:25000 nova:8774:18774:28774 cinder:8776:18776:28776
           placement:8778:18778:28778 glance:9292:19292:29292 neutron:9696:19696:29696"

say()  { printf '%s [%4ss] %s\n' "$(date +%H:%M:%S)" "$SECONDS" "$*"; }
die()  { say "ERROR: $*" >&2; exit 1; }

start_ticks() { sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# running NAME: the process recorded for NAME is alive and is still that one
# (same start time), not a stranger that got its number.
running() {
    local f=$STATE/run/$1.pid pid ticks
    [ -r "$f" ] || return 1
    read -r pid ticks <"$f" || return 1
    [ -n "$ticks" ] && [ "$(start_ticks "$pid")" = "$ticks" ]
}

# A clean environment: no proxies, no pyenv, nothing of the caller's.
CLEAN=(PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 LC_ALL=C.UTF-8
       HOME="$STATE/home" XDG_CACHE_HOME="$STATE/cache" TMPDIR="$STATE/tmp"
       PYTHONPATH="$STATE/py" PYTHONWARNINGS=ignore no_proxy=*)
in_env() { env -i "${CLEAN[@]}" "$@"; }

# spawn NAME COMMAND...: start in the background as leader of its own process
# group; every exec keeps the number, so $! is the daemon itself.
spawn() {
    local name=$1 pid; shift
    running "$name" && return 0
    ( cd "$STATE" && exec env -i "${CLEAN[@]}" ${EXTRA_ENV:+"${EXTRA_ENV[@]}"} \
        setsid "$@" </dev/null >>"$STATE/log/$name.out" 2>&1 ) &
    pid=$!
    disown "$pid" 2>/dev/null || true
    echo "$pid $(start_ticks "$pid")" >"$STATE/run/$name.pid"
}

port_open() { (exec 3<>"/dev/tcp/$ADDR/$1") 2>/dev/null; }

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local limit=$1 what=$2 end; shift 2
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "$what did not come up in ${limit}s; see $STATE/log"
        sleep 0.3
    done
}
