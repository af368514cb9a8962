# Read in by the launcher, with $root and its arguments: on a system that is not Debian 12 or later, the rig goes on in
# a Debian userland. That is an image of podman's, where there is podman, and otherwise a folder of the cache, which
# debootstrap fills and unshare enters. Of the host it has the network, the devices and the terminal, the user's home to
# read, and to write the repository, the cache, the current folder and what DGPU_RIG_WRITABLE names.

userland=$root/src/userland

userland_refuse() {
	printf 'dgpu-rig: %s\n  %s\n' "$1" "$2" >&2
	exit 4
}

# As src/config/host-checks.js has it.
userland_is_debian() (
	. /etc/os-release && [ "${ID-}" = debian ] && [ "${VERSION_ID:-99}" -ge 12 ]
) 2> /dev/null

userland_enter() {
	way=$1
	shift
	verb=${1-}
	[ "$(uname -m)" = x86_64 ] ||
		userland_refuse "The processor is $(uname -m), and the rig builds and runs on x86-64 only." \
			"Run the rig on an x86-64 machine."
	# As src/config/places.js has it.
	case ${XDG_CACHE_HOME-} in /*) cache=$XDG_CACHE_HOME ;; *) cache=$HOME/.cache ;; esac
	cache=${DGPU_RIG_CACHE:-$cache/dgpu-rig}
	mkdir -p "$cache/userland" "$cache/logs" 2> /dev/null && cache=$(cd "$cache" && pwd -P) ||
		userland_refuse "The cache would be $cache, which can't be written." \
			"Point DGPU_RIG_CACHE at a folder that you can write to."
	here=$(pwd -P)
	# The host's folders of these names do not cover Debian's.
	case $here/ in
	// | /bin/* | /dev/* | /etc/* | /lib*/* | /proc/* | /sbin/* | /sys/* | /usr/*) here=/ ;;
	esac
	key=$(cd "$userland" && cat Containerfile host-packages.txt install-packages.sh make-folder.sh | sha256sum | cut -c -12)
	log=$cache/logs/userland.log
	userland_writable
	export DGPU_RIG_CACHE="$cache" DGPU_RIG_USERLAND=none
	# The usual places of npm's cache, and of b4's and others', are in the home.
	export npm_config_cache="$cache/programs/npm" XDG_CACHE_HOME="$cache/programs"
	# Where debootstrap is, and what is for root alone otherwise.
	PATH=$PATH:/usr/sbin:/sbin
	"userland_enter_$way" "$@"
}

# The folders that are written, a line each, and those within others after them.
userland_writable() {
	folders="$root
$cache
$here"
	if [ "${DGPU_RIG_HISTORY-}" ] && mkdir -p "$DGPU_RIG_HISTORY"; then userland_add "$DGPU_RIG_HISTORY"; fi
	before=$IFS
	IFS=:
	set -f
	for folder in ${DGPU_RIG_WRITABLE-}; do
		[ -d "$folder" ] ||
			userland_refuse "DGPU_RIG_WRITABLE names \"$folder\", and there is no such folder." "Make it, or leave it out."
		userland_add "$folder"
	done
	set +f
	IFS=$before
	folders=$(echo "$folders" | grep -vx '/*' | sort -u)
}

userland_add() {
	folders="$folders
$(cd "$1" && pwd -P)"
}

# Has $1 (podman or folder) made where it is missing, under a lock: whoever starts at the same time waits, and finds it
# done.
userland_make() {
	if "userland_has_$1"; then return; fi
	# Tab waits for nothing.
	[ "$verb" != complete ] || exit 4
	exec 7> "$cache/userland/lock"
	flock 7
	if ! "userland_has_$1"; then
		echo "dgpu-rig: this system is not Debian: making a Debian userland, once (1 GB; $log)..." >&2
		"userland_make_$1" > "$log" 2>&1 < /dev/null ||
			userland_refuse "The Debian userland could not be made: $(userland_reason)" "$2"
	fi
	exec 7>&-
}

# The last line of what was made in vain, but for those of podman's which only say that something has failed.
userland_reason() {
	grep . "$log" | grep -v -e 're-exec process$' -e 'exit status [0-9]*$' | tail -n 1
}

userland_enter_podman() {
	image=localhost/dgpu-rig-userland:$key
	userland_make podman "All of it is in $log. With DGPU_RIG_USERLAND=folder the rig does without podman."
	userland_podman "$root/dgpu-rig" "$@"
}

# What is wrong with podman is said where the image is made.
userland_has_podman() {
	podman image exists "$image" 2> /dev/null
}

# What can't run has its reason here, and not in each exit code 125 of podman's later.
userland_make_podman() {
	podman build --network host --tag "$image" "$userland" && { (userland_podman true) || { podman rmi --force "$image" && false; }; }
}

# Runs $@ in the image, instead of this shell: the rig's exit code is podman's, and signals reach it.
userland_podman() {
	set -- --workdir "$here" "$image" "$@"
	before=$IFS
	IFS='
'
	set -f
	for folder in $folders; do set -- --volume "$folder:$folder" "$@"; done
	set +f
	IFS=$before
	# Podman takes no folder twice.
	echo "$folders" | grep -qxF "$HOME" || set -- --volume "$HOME:$HOME:ro" "$@"
	# The user's groups, one of which may open /dev/kvm.
	[ ! -e /dev/kvm ] || set -- --device /dev/kvm --annotation run.oci.keep_original_groups=1 "$@"
	[ "$(id -u)" = 0 ] || set -- --userns keep-id "$@"
	if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then set -- --tty "$@"; fi
	# What it prints goes to no journal, its folders get no labels, and rigs see each other's processes.
	exec podman run --rm --interactive --log-driver none --security-opt label=disable --pid host --network host \
		--pids-limit 0 --ulimit host --env-host --env "HOME=$HOME" \
		--env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

userland_enter_folder() {
	folder=$cache/userland/$key
	map=
	[ "$(id -u)" = 0 ] || map=--map-root-user
	why=$(unshare $map --mount mount --rbind "$cache" "$cache" 2>&1) ||
		userland_refuse "This system is not Debian; a Debian userland needs podman or user namespaces, and: $why" \
			"Install podman, permit user namespaces (sysctl user.max_user_namespaces), or run the rig on Debian."
	userland_has_folder || command -v debootstrap > /dev/null ||
		userland_refuse "This system is not Debian; a Debian userland needs podman or debootstrap, and there is no debootstrap." \
			"Install podman, or debootstrap with Debian's archive key: debian-archive-keyring, or debian-keyring on Fedora."
	userland_make folder "All of it is in $log."
	exec unshare $map --mount sh "$userland/enter-folder.sh" "$folder" "$folders" "$(id -u)" "$(id -g)" "$here" \
		"$root/dgpu-rig" "$@"
}

userland_has_folder() {
	[ -e "$folder" ]
}

userland_make_folder() {
	# --map-auto may fail for want of lines in /etc/subuid, and says so.
	unshare $map ${map:+--map-auto} --mount --pid --fork --kill-child sh "$userland/make-folder.sh" "$folder.new" "$(id -u)" "$(id -g)" &&
		mv "$folder.new" "$folder"
}

case ${DGPU_RIG_USERLAND-} in
'')
	if ! userland_is_debian; then
		if command -v podman > /dev/null; then userland_enter podman "$@"; else userland_enter folder "$@"; fi
	fi
	;;
podman | folder) userland_enter "$DGPU_RIG_USERLAND" "$@" ;;
none) ;;
*)
	userland_refuse "DGPU_RIG_USERLAND is \"$DGPU_RIG_USERLAND\", and there are podman, folder and none." \
		"Leave it unset: the rig knows."
	;;
esac
