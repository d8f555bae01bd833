# The first process of a simulated host: `sh machine.sh OWN SIZE BASE LOWER NAME [FOLDER...]`, in namespaces of its own.
# OWN/files is what it has beside LOWER, which all hosts have, and BASE, a root; with settings of sshd it answers at its
# address. It sees this machine's FOLDERs where they are, to write in too. It lives until its standard input ends; then
# the kernel ends all that runs on the host, and the mounts go with it.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
own=$1 size=$2 base=$3 lower=$4 name=$5
shift 5
mount --make-rprivate /
mkdir -p "$own/disk" "$own/root"
mount -t tmpfs -o "size=$size,mode=755" tmpfs "$own/disk"
mkdir "$own/disk/upper" "$own/disk/work"
cp -a "$lower/." "$own/files/." "$own/disk/upper/"
root=$own/root
mount -t overlay -o "lowerdir=$base,upperdir=$own/disk/upper,workdir=$own/disk/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755,size=8m tmpfs "$root/run"
mount -t tmpfs -o mode=1777,size=8m tmpfs "$root/tmp"
mkdir -m 755 "$root/run/sshd" "$root/run/lock"
hostname "$name"
for folder; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
done
[ ! -e "$own/files/etc/ssh/sshd_config" ] || chroot "$root" /usr/sbin/sshd -f /etc/ssh/sshd_config </dev/null
: >"$own/up"
# Waiting for one child, the shell takes leave of all others that have nobody else; a kill of all ends that child too.
exec chroot "$root" sh -c 'exec 3<&0; cd /; while :; do cat <&3 >/dev/null & wait $! && exit; done'
