#!/bin/bash
# Shows each case of a file ($1) to Debian's heartbeat 3.0.6 and prints accept or reject, one a line. Cases are
# for ha.cf, or for the file named by $2.
# Runs inside fresh mount, network and uts namespaces; each case gets a pid namespace of its own, which
# takes every process with it when it ends. The program may not reboot, load modules or set the clock.
mount --make-rprivate / || exit 1
hostname n1
ip link set lo up
for i in eth0 eth1; do
    ip link add $i type veth peer name p$i
    ip link set $i up
    ip link set p$i up
done
ip addr add 10.1.0.1/24 broadcast + dev eth0
ip addr add 10.2.0.1/24 broadcast + dev eth1

one() {
    mount -t tmpfs none /run
    mkdir -p /run/heartbeat /run/lock
    chown hacluster:haclient /run/heartbeat
    mount -t tmpfs none /var/lib/heartbeat
    mkdir -p /var/lib/heartbeat/{api,casual,ccm,ckpt,cores/{hacluster,root,nobody},crm}
    chown -R hacluster:haclient /var/lib/heartbeat
    cp -a /etc/ha.d /run/had
    printf 'auth 1\n1 sha1 abc\n' > /run/had/authkeys
    chmod 600 /run/had/authkeys
    echo 'n1 10.1.0.5' > /run/had/haresources
    printf 'use_logd no\nlogfile /run/hb.log\nkeepalive 2\ndeadtime 30\nbcast eth0\nnode n1 n2\n' > /run/had/ha.cf
    printf '%s\n' "$2" > "/run/had/$1"
    mount --bind /run/had /etc/ha.d
    cd /run || exit 1
    timeout 10 /usr/libexec/heartbeat/heartbeat > /dev/null 2>&1
    if [ $? = 0 ]; then echo accept; else echo reject; fi
}
export -f one

file=${2:-ha.cf}
while IFS= read -r case; do
    if [[ $file != ha.cf ]]; then
        body=$case
    elif [[ $case == =* ]]; then
        body=${case#=}
    else
        body="use_logd no|logfile /run/hb.log|keepalive 2|deadtime 30|auto_failback off|$case|bcast eth0|node n1 n2"
    fi
    body=${body//|/$'\n'}
    body=${body//\\t/$'\t'}
    setpriv --bounding-set=-sys_boot,-sys_module,-sys_time \
        unshare -m -p -f --mount-proc --kill-child bash -c 'one "$1" "$2"' - "$file" "$body" < /dev/null 2> /dev/null
done < "$1"
