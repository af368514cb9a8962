#!/bin/sh
# In a fresh Debian: installs what the rig needs there. $1 is host-packages.txt. The last line of packages is for what
# not everybody uses: the command gdb, and --patch of a message.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
sed '/^#/d' "$1" | xargs apt-get -q -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io install \
	ca-certificates nodejs npm \
	gdb b4
apt-get clean
