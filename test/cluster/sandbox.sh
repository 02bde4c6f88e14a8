#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a node, in network, mount and process namespaces of its own. It makes
# the node's devices, mounts and control groups, writes the file "sandbox" into the node's
# folder, and then only reaps what is orphaned. With it all that runs on the node ends.
#
#   sandbox.sh <folder of the node> <control group> <address of the node>/<bits>
set -euo pipefail

dir=$1 group=$2 address=$3

# Nothing that is mounted here may be seen outside, and the other way round.
mount --make-rprivate /
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
mkdir -p /run/netns /run/lock
for own in /var/log /var/lib/kubelet /var/lib/cni; do
	mkdir -p "$dir/files$own" "$own"
	mount --bind "$dir/files$own" "$own"
done

# kubelet insists on these and would change them for the whole machine: it finds what it
# wants in files of the node.
tune() { # tune <path below /proc/sys> <value>
	[[ -e /proc/sys/$1 ]] || return 0
	local file=$dir/files/sysctl-${1//\//-}
	echo "$2" >"$file"
	mount --bind "$file" "/proc/sys/$1"
}
tune vm/overcommit_memory 1
tune vm/panic_on_oom 0
tune kernel/panic 10
tune kernel/panic_on_oops 1
tune kernel/keys/root_maxkeys 1000000
tune kernel/keys/root_maxbytes 25000000
mount --make-rshared /

# A bridge carries its address without any other device, which loopback may not for a node.
ip link set lo up
ip link add node0 type bridge
ip address add "$address" dev node0
ip link set node0 up
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward
# A pod that reaches another by a Service has its answer on the same bridge.
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

cgroups=/sys/fs/cgroup
if [[ -e $cgroups/cgroup.controllers ]]; then
	mkdir -p "$cgroups/$group"
	for controller in $(<"$cgroups/cgroup.controllers"); do
		for parent in "$cgroups" "$cgroups/$group"; do
			echo "+$controller" >"$parent/cgroup.subtree_control" 2>/dev/null || true
		done
	done
else
	for hierarchy in "$cgroups"/*/; do
		[[ -e $hierarchy/cgroup.procs ]] || continue
		mkdir -p "$hierarchy/$group"
		# Version 1 gives a new group neither processors nor memory nodes.
		for value in cpuset.cpus cpuset.mems; do
			[[ ! -e $hierarchy/$value ]] || cat "$hierarchy/$value" >"$hierarchy/$group/$value"
		done
	done
fi

trap '' INT TERM HUP
echo ready >"$dir/sandbox"
while :; do
	sleep 1000000 &
	wait $! || true
done
