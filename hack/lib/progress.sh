# shellcheck shell=bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Shell functions shared by the scripts under hack/. Messages go to standard error, so that
# a script's standard output stays its result.

say() { printf '%s\n' "$*" >&2; }

# progress <what> <command...> runs the command and says every 15 s what runs and for how
# long. Its status is the command's; the command's standard output is passed on.
progress() {
	local what=$1 start=$SECONDS ticker status=0
	shift
	(
		# Neither the caller's lock nor its pipe may be held open by the ticker.
		exec 9>&- >/dev/null
		trap 'kill "$nap"; exit' TERM
		while true; do
			sleep 15 2>/dev/null &
			nap=$!
			wait "$nap"
			say "  $what: $((SECONDS - start)) s so far"
		done
	) &
	ticker=$!
	"$@" || status=$?
	kill "$ticker" 2>/dev/null || true
	wait "$ticker" 2>/dev/null || true
	if ((status == 0)); then
		say "  $what: done in $((SECONDS - start)) s"
	else
		say "  $what: failed with status $status after $((SECONDS - start)) s"
	fi
	return "$status"
}
