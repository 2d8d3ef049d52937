#!/bin/bash
# What the ledger costs a plan, in instructions, which do not depend on what else the machine does.
# "called" is an upper bound for a plan without a ledger: its calls are made and do nothing, where they are
# otherwise compiled into nothing.
set -eu
cd "$(dirname "$0")/.."
command -v valgrind > /dev/null || { echo "valgrind is not installed (apt-get install valgrind)"; exit 1; }
built=$(cargo bench -p crm-core --bench ledger --no-run 2>&1)
bench=$(sed -n 's/.*Executable.*(\(.*\))$/\1/p' <<< "$built")
[ -x "$bench" ] || { echo "$built"; exit 1; }
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" --count "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
# Three plans less one: what is read and set up before the first falls out.
of_a_plan() { echo $((($(instructions "$1" 3) - $(instructions "$1" 1)) / 2)); }
none=$(of_a_plan none)
echo "16 nodes x 400 resources, instructions of a plan"
echo "without a ledger: $none"
for kind in called book; do
    all=$(of_a_plan $kind)
    echo "$kind: $all ($(awk "BEGIN { printf \"%+.2f\", ($all / $none - 1) * 100 }") %)"
done
