#!/bin/bash
# All recorded CIBs planned, one process each: CPU seconds of ours and of Pacemaker's crm_simulate, in one run.
# Usage: tests/scheduler-cpu.sh [EVERBEAT-BINARY]
set -eu
cd "$(dirname "$0")/.."
binary=$(realpath "${1:-target/ci/everbeat}")
cases=${EVERBEAT_CONFORMANCE:-../shared/conformance}/scheduler/xml
TIMEFORMAT='user %U s, system %S s, elapsed %R s'
run() {
    local name=$1
    shift
    echo -n "$name: "
    time for file in "$cases"/*.xml; do "$@" -S -x "$file" > /dev/null 2>&1 || true; done
}
echo "$(ls "$cases" | wc -l) inputs"
run "everbeat crm_simulate" "$binary" crm_simulate
run "Pacemaker's crm_simulate" /usr/sbin/crm_simulate
