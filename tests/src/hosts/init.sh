# First process of a test host, in fresh mount, UTS, IPC, PID and network namespaces.
# Arguments: STATE_DIR HOST_NAME. What lies below STATE_DIR/disk/HOST_NAME survives a power failure.
set -e
state=$1
name=$2
disk=$state/disk/$name
mount --make-rprivate /
# no reference to other namespaces is kept
umount -l -R /run/netns 2>/dev/null || true
hostname "$name"
for d in etc usr var; do
    mkdir -p "$disk/$d/upper" "$disk/$d/work"
    mount -t overlay "host-$name-$d" \
        -o "lowerdir=/$d,upperdir=$disk/$d/upper,workdir=$disk/$d/work" "/$d"
done
exec 9> "$state/ready-$name"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock/subsys /run/resource-agents
chmod 1777 /run/lock
echo "$name" > /etc/hostname
cp "$state/hosts" /etc/hosts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
echo up >&9
exec 9>&-
trap 'exit 0' TERM
# reap what is orphaned
while :; do
    sleep 86400 &
    wait $! || true
done
