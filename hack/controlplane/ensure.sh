#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes sure etcd, etcdctl, etcdutl, kube-apiserver, kube-controller-manager and kubectl
# exist, and prints the folder they are in (what KUBEBUILDER_ASSETS is set to) on standard output.
#
#   ensure.sh [--node | --next] [--path]
#
# What setup-envtest can download is downloaded; what is missing then is built from the
# Go modules pinned beside this script. The folder is
#   ${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}/controlplane/<version>
# outside the work tree, so that every clone on a machine shares one set.
#
# With --node it makes sure of what a whole node needs, too, and prints the folder that holds
# all of it: kube-scheduler, kubelet, kube-proxy and CoreDNS beside links to the others.
#
# With --next the API server and the controller manager are those of the next minor version,
# which definitions and CEL rules are tested against, too; the rest are links.
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
coredns=$(version_of "$here/coredns" github.com/coredns/coredns)
cache=${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}
dir=$cache/controlplane/kubernetes-$k8s-etcd-$etcd-$(go env GOOS)-$(go env GOARCH)
node=$cache/controlplane/node-$k8s-etcd-$etcd-coredns-$coredns-$(go env GOOS)-$(go env GOARCH)
other=$(version_of "$here/kubernetes-1.37" k8s.io/kubernetes)
next=$cache/controlplane/kubernetes-$other-etcd-$etcd-$(go env GOOS)-$(go env GOARCH)
index=${DOORWARD_ENVTEST_INDEX:-https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml}

servers=(etcd etcdctl etcdutl kube-apiserver kubectl kube-controller-manager)
parts=(kube-scheduler kubelet kube-proxy coredns)
others=(kube-apiserver kube-controller-manager)

has() { # has <folder> <name...>
	local folder=$1 name
	shift
	for name in "$@"; do [[ -x $folder/$name ]] || return 1; done
}

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

# build compiles <package> of the module in <folder> under the name <name>, unless it is there,
# or was made before. What it is of Kubernetes says that it is <version>.
build() {
	local name=$1 folder=$2 package=$3 version=${4:-$k8s} pkg=k8s.io/component-base/version
	[[ ! -x $tmp/$name && ! -x ${tmp%/*}/$name ]] || return 0
	local minor=${version#v1.}
	local flags="-s -w -X $pkg.gitVersion=$version -X $pkg.gitMajor=1 -X $pkg.gitMinor=${minor%%.*} -X $pkg.gitTreeState=clean"
	CGO_ENABLED=0 progress "build $name" \
		go -C "$here/$folder" build -trimpath -buildvcs=false -ldflags "$flags" -o "$tmp/$name" "$package"
}

# locked <folder> <command...> runs the command as the only builder of the folder: two
# clones, or two targets of one make, wait for each other.
locked() {
	mkdir -p "$1"
	exec 9>"$1/.lock"
	if ! flock --nonblock 9; then
		say "control plane: another build is under way, waiting for it"
		progress "wait for the other build" flock 9
	fi
	"${@:2}"
	exec 9>&-
}

tmp=
cleanup() {
	[[ -z $tmp ]] || { chmod -R u+w "$tmp" 2>/dev/null || true; rm -rf "$tmp"; }
}
trap cleanup EXIT

make_servers() {
	! has "$dir" "${servers[@]}" || return 0
	tmp=$(mktemp -d "$dir/.build.XXXXXX")
	say "control plane: getting Kubernetes $k8s and etcd $etcd into $dir (once per machine; about 6 minutes where it has to be built)"
	has "$dir" etcd kube-apiserver kubectl || download
	build etcd etcd go.etcd.io/etcd/server/v3
	for name in etcdctl etcdutl; do build "$name" etcd "go.etcd.io/etcd/$name/v3"; done
	for name in kube-apiserver kubectl kube-controller-manager; do build "$name" kubernetes "k8s.io/kubernetes/cmd/$name"; done
	for name in "${servers[@]}"; do [[ ! -x $tmp/$name ]] || mv "$tmp/$name" "$dir/$name"; done
	cleanup
	say "control plane: ready in $dir"
}

make_node() {
	! has "$node" "${parts[@]}" "${servers[@]}" || return 0
	tmp=$(mktemp -d "$node/.build.XXXXXX")
	say "node: building the parts of a node, Kubernetes $k8s and CoreDNS $coredns, into $node (once per machine; about 4 minutes)"
	for name in kube-scheduler kubelet kube-proxy; do build "$name" kubernetes "k8s.io/kubernetes/cmd/$name"; done
	build coredns coredns .
	for name in "${parts[@]}"; do [[ ! -x $tmp/$name ]] || mv "$tmp/$name" "$node/$name"; done
	for name in "${servers[@]}"; do ln -sfn "../${dir##*/}/$name" "$node/$name"; done
	cleanup
	say "node: ready in $node"
}

make_next() {
	! has "$next" "${servers[@]}" || return 0
	tmp=$(mktemp -d "$next/.build.XXXXXX")
	say "control plane: building the API server of Kubernetes $other into $next (once per machine; about 4 minutes)"
	for name in "${others[@]}"; do build "$name" kubernetes-1.37 "k8s.io/kubernetes/cmd/$name" "$other"; done
	for name in "${others[@]}"; do [[ ! -x $tmp/$name ]] || mv "$tmp/$name" "$next/$name"; done
	for name in "${servers[@]}"; do [[ -e $next/$name ]] || ln -sfn "../${dir##*/}/$name" "$next/$name"; done
	cleanup
	say "control plane: ready in $next"
}

withNode='' withNext='' onlyPath=''
for argument in "$@"; do
	case $argument in
	--node) withNode=yes ;;
	--next) withNext=yes ;;
	--path) onlyPath=yes ;;
	*)
		say "ensure.sh: no option $argument; there are: --node --next --path"
		exit 2
		;;
	esac
done

result=$dir needed=("${servers[@]}")
[[ -z $withNode ]] || result=$node needed+=("${parts[@]}")
[[ -z $withNext ]] || result=$next
if [[ -z $onlyPath ]] && ! has "$result" "${needed[@]}"; then
	locked "$dir" make_servers
	[[ -z $withNode ]] || locked "$node" make_node
	[[ -z $withNext ]] || locked "$next" make_next
fi
echo "$result"
has "$result" "${needed[@]}"
