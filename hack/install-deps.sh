#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes sure the programs that the tests and the demo need are there. On Debian and its
# relatives what is missing is installed with apt (through sudo where needed); elsewhere, or
# without the right to, it says in one line what to install, and fails.
#
#   install-deps.sh [group...]     groups: build database bench conformance ssh sshclients sinks charts lint, which are all
#                                  where none is named, and cluster
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lib/progress.sh
source "$here/lib/progress.sh"

# found <program>: on the PATH, or where Debian keeps servers.
found() {
	command -v "$1" >/dev/null 2>&1 || [[ -x /usr/sbin/$1 ]] ||
		compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

programs=() packages=()
# need <Debian package> <program...>: the package is wanted unless all its programs are there.
need() {
	local package=$1 program missing=0
	shift
	for program in "$@"; do
		found "$program" || { programs+=("$program") missing=1; }
	done
	((missing == 0)) || packages+=("$package")
}

# module <Debian package> <name>: a module of rsyslog, where Debian or others keep them.
module() {
	compgen -G "/usr/lib/*/rsyslog/$2.so" >/dev/null || compgen -G "/usr/lib*/rsyslog/$2.so" >/dev/null ||
		{ programs+=("rsyslog module $2") packages+=("$1"); }
}

# file <Debian package> <path>: what is no program.
file() {
	[[ -e $2 ]] || { programs+=("file $2") packages+=("$1"); }
}

# plugins <Debian package> <name...>: programs of the pods' network, which are on no PATH.
plugins() {
	local package=$1 name
	shift
	for name in "$@"; do
		compgen -G "/usr/lib/cni/$name" >/dev/null || compgen -G "/opt/cni/bin/$name" >/dev/null ||
			compgen -G "/usr/libexec/cni/$name" >/dev/null || { programs+=("CNI plugin $name") packages+=("$package"); }
	done
}

group() {
	local name
	case $1 in
	build)
		need git git
		need gcc gcc
		# gcc without the C library's headers cannot build what the race detector needs.
		[[ -e /usr/include/stdlib.h || $(uname -s) != Linux ]] || { programs+=("C headers") packages+=(libc6-dev); }
		need curl curl
		need util-linux flock
		;;
	database)
		need postgresql initdb postgres
		need postgresql-client psql
		need openssl openssl
		;;
	bench)
		need postgresql-contrib pgbench
		need pgbouncer pgbouncer
		need haproxy haproxy
		;;
	conformance)
		need nodejs node
		need npm npm
		need default-jdk-headless java javac
		file libpostgresql-jdbc-java /usr/share/java/postgresql.jar
		for name in psycopg psycopg2 sqlalchemy; do file "python3-$name" "/usr/lib/python3/dist-packages/$name"; done
		;;
	ssh)
		need openssh-client ssh sftp scp
		need openssh-server sshd
		file openssh-sftp-server /usr/lib/openssh/sftp-server
		file openssh-server /usr/sbin/sshd
		;;
	sshclients) # and a newer paramiko, by paramiko.sh
		# What runs over ssh, and what ssh runs in.
		need rsync rsync
		need git git
		need curl curl
		need tmux tmux
		need xauth xauth
		# Shells that what is read of command lines is compared with.
		need busybox busybox
		need mksh mksh
		# Clients other than OpenSSH's, and what looks at algorithms.
		file python3-paramiko /usr/lib/python3/dist-packages/paramiko
		need ansible-core ansible-playbook
		need putty-tools plink psftp pscp puttygen
		need dropbear-bin dbclient dropbearconvert
		need ssh-audit ssh-audit
		need nodejs node
		need npm npm
		;;
	sinks)
		need rsyslog rsyslogd
		# Its drivers for TLS are modules, no programs.
		module rsyslog-openssl lmnsd_ossl
		module rsyslog-gnutls lmnsd_gtls
		;;
	charts)
		# The alert rules of charts/doorward/rules are tested with it.
		need prometheus promtool
		;;
	lint)
		need shellcheck shellcheck
		;;
	cluster)
		need containerd containerd ctr
		need runc runc
		need iptables iptables
		need conntrack conntrack
		need iproute2 ip
		plugins containernetworking-plugins bridge host-local portmap loopback
		;;
	*)
		say "install-deps: no group $1; there are: build database bench conformance ssh sshclients sinks charts lint cluster"
		exit 2
		;;
	esac
}

if (($# == 0)); then set -- build database bench conformance ssh sshclients sinks charts lint; fi
for name in "$@"; do group "$name"; done

# finish does what needs the packages, once they are there.
finish() {
	[[ " $* " != *" sshclients "* ]] || "$here/paramiko.sh" >/dev/null
}

if ((${#packages[@]} == 0)); then
	finish "$@"
	exit
fi

asRoot=()
if ((EUID != 0)); then
	if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
		say "Missing: ${programs[*]}. Install them, on Debian with: sudo apt-get install ${packages[*]}"
		exit 1
	fi
	asRoot=(sudo -n)
fi
if ! command -v apt-get >/dev/null 2>&1; then
	say "Missing: ${programs[*]}. Install them with this system's package manager (Debian's names: ${packages[*]})."
	exit 1
fi

# A server that Debian starts by itself would only take memory from the tests, which start
# their own: policy-rc.d tells the packages not to, for the time of the installation.
quiet=/usr/sbin/policy-rc.d
made=
if [[ ! -e $quiet ]]; then
	printf '#!/bin/sh\nexit 101\n' | "${asRoot[@]}" tee "$quiet" >/dev/null
	"${asRoot[@]}" chmod 755 "$quiet"
	made=yes
fi
log=$(mktemp)
cleanup() {
	rm -f "$log"
	[[ -z $made ]] || "${asRoot[@]}" rm -f "$quiet"
}
trap cleanup EXIT

install() {
	"${asRoot[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --no-install-recommends "${packages[@]}" >>"$log" 2>&1 </dev/null
}
# The lists of packages may be absent or old: fetch them, and try once more.
refresh() {
	"${asRoot[@]}" apt-get update >>"$log" 2>&1 </dev/null && install
}

say "Installing with apt: ${packages[*]}"
if ! progress "apt-get install" install && ! progress "apt-get update and install" refresh; then
	tail -n 15 "$log" >&2
	say "Could not install ${packages[*]}. Missing: ${programs[*]}. Install them, then run this again."
	exit 1
fi
hash -r
for program in "${programs[@]}"; do
	[[ $program == *" "* ]] || found "$program" || { say "Installed ${packages[*]}, but $program is still missing."; exit 1; }
done
finish "$@"
