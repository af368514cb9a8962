# As root, or as what a user namespace takes for it: makes the folder $1 a Debian in which the user $2 of the group $3
# works. All of it belongs to that user in the end, so that anybody can remove the cache who could write it.
set -eu
userland=$(dirname "$0")
umask 022
# Nobody else is at work here: these are of rigs that were killed.
rm -rf "$(dirname "$1")"/*.new
# In a container of lxc's it takes the devices from the host: nobody makes any in a user namespace.
container=lxc debootstrap --force-check-gpg --arch=amd64 --variant=minbase trixie "$1"
mkdir "$1/usr/share/dgpu-rig"
cp "$userland/host-packages.txt" "$userland/install-packages.sh" "$1/usr/share/dgpu-rig"
cat /etc/resolv.conf > "$1/etc/resolv.conf"
for folder in dev proc; do mount --rbind "/$folder" "$1/$folder"; done
chroot "$1" sh /usr/share/dgpu-rig/install-packages.sh /usr/share/dgpu-rig/host-packages.txt
for folder in dev proc; do umount --lazy "$1/$folder"; done
if [ "$2" != 0 ]; then
	echo "user:x:$2:$3::/:/bin/sh" >> "$1/etc/passwd"
	echo "user:x:$3:" >> "$1/etc/group"
	find "$1" -xdev -exec chown --no-dereference 0:0 '{}' +
fi
