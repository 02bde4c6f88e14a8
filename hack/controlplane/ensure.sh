#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes sure etcd, kube-apiserver, kube-controller-manager and kubectl exist, and prints
# the folder they are in (what KUBEBUILDER_ASSETS is set to) on standard output.
#
# What setup-envtest can download is downloaded; what is missing then is built from the
# Go modules pinned beside this script. The folder is
#   ${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}/controlplane/<version>
# outside the work tree, so that every clone on a machine shares one set.
#
# With --path it prints the folder and obtains nothing; status 1 says the set is incomplete.
#
# Environment:
#   DOORWARD_CACHE          another cache folder
#   DOORWARD_ENVTEST_INDEX  another index for setup-envtest; "none" never downloads
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lib/progress.sh
source "$here/../lib/progress.sh"

version_of() { # version_of <folder of a module> <required module>
	awk -v module="$2" '{ for (i = 1; i < NF; i++) if ($i == module && $(i + 1) ~ /^v[0-9]/) { print $(i + 1); exit } }' "$1/go.mod"
}

k8s=$(version_of "$here/kubernetes" k8s.io/kubernetes)
etcd=$(version_of "$here/etcd" go.etcd.io/etcd/server/v3)
minor=${k8s#v1.} minor=${minor%%.*}
cache=${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}
dir=$cache/controlplane/kubernetes-$k8s-etcd-$etcd-$(go env GOOS)-$(go env GOARCH)
index=${DOORWARD_ENVTEST_INDEX:-https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml}

have() { [[ -x $dir/$1 ]]; }
complete() { have etcd && have kube-apiserver && have kube-controller-manager && have kubectl; }

# download fetches what setup-envtest offers, where its index answers within seconds.
# Anything that goes wrong leaves the build to do the work.
download() {
	[[ $index != none ]] || return 0
	if ! curl --fail --silent --show-error --location --connect-timeout 3 --max-time 10 --output /dev/null "$index" 2>/dev/null; then
		say "control plane: no download site in reach, building from Go modules"
		return 0
	fi
	local from
	if ! from=$(progress "setup-envtest 1.$minor" \
		go -C "$here/../tools/setup-envtest" tool setup-envtest use "1.$minor.x!" --index "$index" --bin-dir "$tmp/envtest" -p path); then
		say "control plane: setup-envtest failed, building from Go modules"
		return 0
	fi
	for name in etcd kube-apiserver kubectl; do
		[[ ! -x $from/$name ]] || cp "$from/$name" "$tmp/$name"
	done
}

# build compiles <package> of the module in <folder> under the name <name>, unless it is there.
build() {
	local name=$1 folder=$2 package=$3 pkg=k8s.io/component-base/version
	[[ ! -x $tmp/$name ]] || return 0
	local flags="-s -w -X $pkg.gitVersion=$k8s -X $pkg.gitMajor=1 -X $pkg.gitMinor=$minor -X $pkg.gitTreeState=clean"
	CGO_ENABLED=0 progress "build $name" \
		go -C "$here/$folder" build -trimpath -buildvcs=false -ldflags "$flags" -o "$tmp/$name" "$package"
}

if [[ ${1:-} == --path ]]; then
	echo "$dir"
	complete
	exit
fi

if ! complete; then
	mkdir -p "$dir"
	# One builder at a time: two clones, or two targets of one make, wait for each other.
	exec 9>"$dir/.lock"
	if ! flock --nonblock 9; then
		say "control plane: another build is under way, waiting for it"
		progress "wait for the other build" flock 9
	fi
	if ! complete; then
		tmp=$(mktemp -d "$dir/.build.XXXXXX")
		trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
		say "control plane: getting Kubernetes $k8s and etcd $etcd into $dir (once per machine; about 6 minutes where it has to be built)"
		download
		build etcd etcd go.etcd.io/etcd/server/v3
		build kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
		build kubectl kubernetes k8s.io/kubernetes/cmd/kubectl
		build kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager
		for name in etcd kube-apiserver kubectl kube-controller-manager; do
			mv "$tmp/$name" "$dir/$name"
		done
		say "control plane: ready in $dir"
	fi
fi
echo "$dir"
