#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Says which version is being built. The number is written in charts/doorward/Chart.yaml
# alone; what is not built of the commit that bears its tag says so.
#
#   version.sh           0.1.0 of tag v0.1.0, else 0.1.0-dev+g<commit>, with .dirty where files differ from it
#   version.sh tag       the same as the tag of an image, where no + may be
#   version.sh time      when the commit was made, in seconds since 1970; SOURCE_DATE_EPOCH where it is set
#   version.sh commit    the commit's whole name, or unknown
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

commit() { git rev-parse --verify --quiet HEAD 2>/dev/null; }

version() {
	local number dirty=
	number=$(sed -n 's/^version: *//p' charts/doorward/Chart.yaml)
	[[ $number =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || {
		echo "cannot tell the version: charts/doorward/Chart.yaml has version \"$number\"; write MAJOR.MINOR.PATCH there" >&2
		return 1
	}
	commit >/dev/null || { echo "$number-dev"; return; }
	# Files that git does not know are built, too.
	[[ -z $(git status --porcelain) ]] || dirty=.dirty
	if [[ -z $dirty ]] && git tag --points-at HEAD | grep -Fxq "v$number"; then
		echo "$number"
	else
		echo "$number-dev+g$(git rev-parse --short=12 HEAD)$dirty"
	fi
}

case ${1:-} in
"") version ;;
tag) number=$(version) && echo "${number/+/.}" ;;
time) echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" ;;
commit) commit || echo unknown ;;
*)
	echo "version.sh: no \"$1\"; there are: tag time commit" >&2
	exit 2
	;;
esac
