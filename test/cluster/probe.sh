#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Tries, in namespaces of its own, what a node is made of, and prints a line
# "missing: <what>: <remedy>" for each thing that fails.
#
#   probe.sh <empty folder> <name of a control group>
set -uo pipefail

dir=$1 group=$2
try() { # try <what: remedy> <command...>
	local what=$1 said
	shift
	said=$("$@" 2>&1) || echo "missing: $what (${said//$'\n'/ })"
}

try "mounts: run with CAP_SYS_ADMIN" mount -t tmpfs tmpfs "$dir"
try "bridge devices: load the kernel module bridge" ip link add probe0 type bridge
try "virtual Ethernet devices: load the kernel module veth" ip link add probe1 type veth peer name probe2
try "filter of bridged packets: load the kernel module br_netfilter" test -w /proc/sys/net/bridge/bridge-nf-call-iptables
try "address translation: load the kernel modules nf_nat and ip_tables or nf_tables" iptables -t nat -A POSTROUTING -m conntrack --ctstate NEW -j MASQUERADE
try "comments and marks of iptables: load the kernel modules xt_comment and xt_mark" iptables -t filter -A FORWARD -m comment --comment x -m mark --mark 1 -j ACCEPT
try "choice among endpoints: load the kernel module xt_statistic" iptables -t nat -A OUTPUT -m statistic --mode random --probability 0.5 -j RETURN

cgroups=/sys/fs/cgroup
if [[ -e $cgroups/cgroup.controllers ]]; then
	try "control groups: give this process those of the machine, writable" mkdir "$cgroups/$group"
	for controller in cpu cpuset memory pids; do
		echo "+$controller" 2>/dev/null >"$cgroups/cgroup.subtree_control"
		try "control group $controller: let the root group hand it down (no process may be in a container's root group)" \
			grep -qw "$controller" "$cgroups/$group/cgroup.controllers"
	done
	rmdir "$cgroups/$group" 2>/dev/null
else
	for controller in cpu memory pids cpuset devices; do
		try "control group $controller: mount it at $cgroups/$controller, writable" mkdir "$cgroups/$controller/$group"
		rmdir "$cgroups/$controller/$group" 2>/dev/null
	done
fi
exit 0
