#!/bin/sh
# A Slurm cluster of two virtual nodes on this machine, for tests and for trying things out. All of it is in one folder:
# its configuration, munge key, logs and state; its daemons run as whoever starts them and listen on the loopback only.
#
#     test/slurm/cluster.sh start DIR      prints what to set so that sbatch, squeue and `dgpu-rig run --engine slurm`
#                                          use it
#     test/slurm/cluster.sh kill DIR NODE  as a power cut would: the daemon of node1 or node2, and all that runs of its
#                                          jobs
#     test/slurm/cluster.sh stop DIR       ends everything; the folder stays
#
# Debian: apt-get install --no-install-recommends slurm-wlm munge
set -eu
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "cluster.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

# Three that nobody listens on, one after the other from a random one on. Whoever takes one of them at the same moment
# makes the daemon fail, and the start with it.
free_ports() {
	taken=$(awk 'NR > 1 { split($2, at, ":"); print at[2] }' /proc/net/tcp /proc/net/tcp6 2> /dev/null)
	port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
	found=
	while [ "$(echo "$found" | wc -w)" -lt 3 ]; do
		port=$((port + 1))
		hex=$(printf '%04X' "$port")
		case $taken in *"$hex"*) continue ;; esac
		found="$found $port"
	done
	echo "$found"
}

configure() {
	read -r controller first second <<- PORTS
		$(free_ports)
	PORTS
	host=$(hostname -s)
	# A node is missed after seconds and not minutes, and so are the credentials of what ran on it.
	cat > "$dir/slurm.conf" <<- CONF
		ClusterName=dgpu-rig-test
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$controller
		SlurmUser=$(id -un)
		SlurmdUser=$(id -un)
		AuthType=auth/munge
		AuthInfo=socket=$dir/munge.socket,cred_expire=5
		CryptoType=crypto/munge
		StateSaveLocation=$dir/state
		SlurmdSpoolDir=$dir/spool-%n
		SlurmctldPidFile=$dir/slurmctld.pid
		SlurmdPidFile=$dir/slurmd-%n.pid
		SlurmctldLogFile=$dir/slurmctld.log
		SlurmdLogFile=$dir/slurmd-%n.log
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SwitchType=switch/none
		MpiDefault=none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		SchedulerParameters=batch_sched_delay=1,sched_interval=5
		SlurmdParameters=config_overrides
		MinJobAge=300
		SlurmdTimeout=8
		KillWait=20
		ReturnToService=2
		JobRequeue=1
		JobCompType=jobcomp/none
		NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$first CPUs=2
		NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$second CPUs=2
		PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
	CONF
	# Nothing of the machine's own, such as plugins that it stacks up.
	: > "$dir/plugstack.conf"
	echo "PlugStackConfig=$dir/plugstack.conf" >> "$dir/slurm.conf"
	echo 'CgroupPlugin=cgroup/v1' > "$dir/cgroup.conf"
	(umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
}

# A command, until it succeeds.
wait_for() {
	tries=300
	until "$@" > /dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

ready() {
	[ "$(sinfo --noheader --Node --format '%t' | grep -cx idle)" = 2 ]
}

start() {
	for program in munged slurmctld slurmd sbatch; do
		command -v "$program" > /dev/null || die "there is no $program here; run: apt-get install --no-install-recommends slurm-wlm munge"
	done
	mkdir -p "$dir/state" "$dir/spool-node1" "$dir/spool-node2"
	# munged insists.
	chmod 755 "$dir"
	configure
	munged --force --socket="$dir/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/munged.pid" \
		--log-file="$dir/munged.log" --seed-file="$dir/munge.seed" --num-threads=2
	slurmctld -c > /dev/null 2>> "$dir/slurmctld.log"
	for node in node1 node2; do
		slurmd -c -N "$node" > /dev/null 2>> "$dir/slurmd-$node.log"
	done
	wait_for ready || die "the nodes did not come up; see $dir/*.log"
	echo "export SLURM_CONF=$dir/slurm.conf"
}

# Processes of the jobs on a node, and the daemons that Slurm has started for each of them.
of_jobs() {
	for file in $(grep -lsxzF "SLURMD_NODENAME=$1" /proc/[0-9]*/environ); do
		grep -qsxzF "SLURM_CONF=$dir/slurm.conf" "$file" || continue
		echo "$file" | cut -d / -f 3
		parent=$(cut -d ' ' -f 4 "${file%environ}stat" 2> /dev/null) || continue
		[ "$(cat "/proc/$parent/comm" 2> /dev/null)" != slurmstepd ] || echo "$parent"
	done
}

# As a power cut would: all at once, and nobody is told. Again, as a process may have been starting others.
kill_node() {
	pid=$(cat "$dir/slurmd-$1.pid") || die "there is no node $1"
	kill -KILL "$pid"
	while jobs=$(of_jobs "$1") && [ -n "$jobs" ]; do
		# shellcheck disable=SC2086
		kill -KILL $jobs 2> /dev/null || true
	done
}

stop() {
	for daemon in slurmd-node1 slurmd-node2 slurmctld munged; do
		id=$(cat "$dir/$daemon.pid" 2> /dev/null) || continue
		kill "$id" 2> /dev/null || continue
		wait_for sh -c "! kill -0 $id" || kill -KILL "$id"
	done
}

[ $# -ge 2 ] || usage
mkdir -p "$2"
dir=$(cd "$2" && pwd)
export SLURM_CONF="$dir/slurm.conf"
case $1 in
start) start ;;
kill) kill_node "${3:?which node? node1 or node2}" ;;
stop) stop ;;
*) usage ;;
esac
