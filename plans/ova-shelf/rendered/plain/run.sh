#!/bin/sh
# written by `windrow render`. Creates what is not there yet, folder by folder, and waits for each:
#
#   ./run.sh            all of it; may be run again at any time
#
# Stops at the first source that cannot be used and at the first import that failed. Waits for ever
# otherwise; WAIT_SECONDS bounds it for each folder. Nothing that is there is written to again.
set -eu
cd "$(dirname "$0")"
WAIT_SECONDS=${WAIT_SECONDS:-0}

# state FOLDER KIND FIELD: one word a line, `-` where there is none yet.
state() {
    kubectl get -f "$1/$2.yaml" --no-headers -o "custom-columns=K:.kind,N:.metadata.name,S:$3" |
        awk '$1 != "Namespace" { print $2, ($3 == "<none>" || $3 == "" ? "-" : $3) }'
}

# step FOLDER FILE FIELD DONE FAILED...
step() {
    folder=$1 file=$2 field=$3 done=$4
    shift 4
    echo "$folder"
    # `create` and never `apply`: a write to an import that runs makes the engine begin again.
    kubectl create -f "$folder/$file.yaml" 2>&1 | grep -v AlreadyExists || true
    waited=0
    while :; do
        states=$(state "$folder" "$file" "$field")
        for failed; do
            bad=$(printf '%s\n' "$states" | awk -v failed="$failed" '$2 == failed { print $1 }')
            [ -z "$bad" ] || { echo "$folder: $failed: $bad" >&2; exit 1; }
        done
        [ -n "$(printf '%s\n' "$states" | awk -v good="$done" '$2 != good')" ] || break
        if [ "$WAIT_SECONDS" -gt 0 ] && [ $waited -ge "$WAIT_SECONDS" ]; then
            echo "$folder: not done after $WAIT_SECONDS s" >&2
            exit 1
        fi
        sleep 5
        waited=$((waited + 5))
    done
}

step 000-sources sources .status.status clusterReady clusterNotReady
step 010-tier-1 imports .status.importStatus virtualMachineRunning virtualMachineImportInvalid VMMigrationFailed
step 020-crm imports .status.importStatus virtualMachineRunning virtualMachineImportInvalid VMMigrationFailed
echo done
