# As root, or as what a user namespace takes for it, and in a mount namespace of its own: goes into the Debian of the
# folder $1. There the folders of the lines $2 can be written, and are where they are on the host. The user $3 of the
# group $4 runs the rest of the arguments there, in the folder $5.
set -eu
# 1 would say that a test failed.
trap 'exit 4' EXIT
debian=$1 writable=$2 uid=$3 gid=$4 here=$5
shift 5
# The root has to be a mount of its own: from within a mere chroot nobody gets a user namespace.
mount --bind "$debian" "$debian"
for folder in dev proc sys; do mount --rbind "/$folder" "$debian/$folder"; done
for file in resolv.conf hosts; do
	[ -e "/etc/$file" ] || continue
	touch "$debian/etc/$file"
	mount --bind "$(readlink -f "/etc/$file")" "$debian/etc/$file"
done
# Links of the host on the way to it are followed on the host.
case $HOME in /?*) mkdir -p "$debian$HOME" && mount --rbind "$HOME" "$debian$HOME" ;; esac
mkdir -p "$debian/.host"
cd "$debian"
pivot_root . .host
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# From here on all programs are Debian's, which know how to do this where the host's mounts may not change otherwise.
case $HOME in /?*) mount --options remount,bind,ro=recursive "$HOME" ;; esac
echo "$writable" | while IFS= read -r folder; do
	mkdir -p "$folder"
	mount --rbind ".host$folder" "$folder"
done
umount --lazy .host
trap - EXIT
[ "$uid" != 0 ] || exec env --chdir "$here" "$@"
exec unshare --user --map-user "$uid" --map-group "$gid" --wd "$here" "$@"
