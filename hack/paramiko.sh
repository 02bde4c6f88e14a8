#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes sure there is a paramiko that knows strict key exchange, which that of Debian 12 and
# Ubuntu 24.04 does not, and prints the folder that PYTHONPATH needs for it: nothing where the
# system's own does. The rest of what it imports is the system's (python3-paramiko's dependencies).
#
#   paramiko.sh [--path]
#
# It is Debian 13's package, unpacked and not installed, so that whatever else uses the system's
# paramiko keeps it. Who made it is settled by the SHA-256 below, which is in Debian 13's signed lists
# (`apt-get update` with suite trixie, then `apt-cache show python3-paramiko=3.5.1-3`). The folder is below
#   ${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}/paramiko
#
# With --path it prints the folder and obtains nothing; status 1 says that there is none.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=hack/lib/progress.sh
source "$here/lib/progress.sh"

version=3.5.1-3
sum=1fb1e8bcf27d6c8de1860ee97ea2d0ee8dbea99e4efc201e74adc3e9713431bc
file=pool/main/p/paramiko/python3-paramiko_${version}_all.deb
# The second keeps what the first has replaced.
mirrors=(http://deb.debian.org/debian https://snapshot.debian.org/archive/debian/20250901T000000Z)
cache=${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}/paramiko
packages=usr/lib/python3/dist-packages

# strict <folder of Python packages>: its paramiko knows strict key exchange.
strict() { grep -qs strict_kex "$1/paramiko/transport.py"; }

! strict "/$packages" || exit 0
if strict "$cache/$version/$packages"; then
	printf '%s\n' "$cache/$version/$packages"
	exit 0
fi
[[ ${1-} != --path ]] || exit 1

for program in curl sha256sum dpkg-deb; do
	command -v "$program" >/dev/null || { say "Missing: $program, to get paramiko $version. Install it, then run this again."; exit 1; }
done
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/.unpack.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# fetch downloads one address; what is not the package does not get its name.
fetch() {
	curl --fail --silent --show-error --location --connect-timeout 10 --max-time 120 --max-filesize 10000000 --output "$tmp/got" "$1" || return
	printf '%s  %s\n' "$sum" "$tmp/got" | sha256sum --check --status || { say "  it is another file"; return 1; }
	mv "$tmp/got" "$tmp/deb"
}

for mirror in "${mirrors[@]}"; do
	[[ -e $tmp/deb ]] || progress "paramiko $version from $mirror" fetch "$mirror/$file" || true
done
if [[ ! -e $tmp/deb ]]; then
	say "Could not get Debian's python3-paramiko $version with SHA-256 $sum: neither ${mirrors[0]} nor ${mirrors[1]} has it." \
		"Without it, paramiko cannot be tested: try again later, or unpack it with dpkg-deb -x into $cache/$version."
	exit 1
fi
dpkg-deb -x "$tmp/deb" "$tmp/$version"
chmod 755 "$tmp/$version"
rm -rf "${cache:?}/$version"
mv "$tmp/$version" "$cache/$version"
printf '%s\n' "$cache/$version/$packages"
