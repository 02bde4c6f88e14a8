#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every check of `make verify`, all of them even after one has failed, and lists the
# failed ones at the end. The work tree must not differ from before.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/lib/progress.sh
source hack/lib/progress.sh

failed=()
check() { # check <name> <command...>
	local name=$1
	shift
	say "verify: $name"
	"$@" || failed+=("$name")
}

# state names every file's content, so that a change of an already changed file shows too.
state() { git status --porcelain; git diff HEAD | git hash-object --stdin; git ls-files --others --exclude-standard -z | xargs -0 -r git hash-object; }

generated() {
	local before after
	before=$(state)
	make generate || return
	after=$(state)
	[[ $before == "$after" ]] || {
		git status --short
		git --no-pager diff --stat
		say "Generated files are out of date: run 'make generate' and commit the result."
		return 1
	}
}

formatted() {
	bin/tools/golangci-lint fmt --diff || {
		say "Not formatted: run 'make fmt' and commit the result."
		return 1
	}
}

tidy() {
	local mod status=0
	while IFS= read -r mod; do
		go -C "$(dirname "$mod")" mod tidy -diff || { say "$mod is not tidy."; status=1; }
	done < <(git ls-files -- 'go.mod' '*/go.mod' | grep -v '/testdata/')
	return "$status"
}

scripts() {
	if ! command -v shellcheck >/dev/null; then
		say "shellcheck is not installed: the scripts cannot be checked (run 'hack/install-deps.sh lint')."
		return 1
	fi
	git ls-files -z -- '*.sh' .ci/run | xargs -0 shellcheck -x
}

kustomizations() {
	local folder status=0
	for folder in config/default config/samples config/tour; do
		bin/tools/kustomize build "$folder" >/dev/null || { say "$folder does not build."; status=1; }
	done
	return "$status"
}

# Linted with what has to be said at least. test/charts lints every set of values, and asks the API server.
charts() {
	local version
	bin/tools/helm lint --strict --quiet charts/doorward-crds || return
	bin/tools/helm lint --strict --quiet charts/doorward --set 'namespaces={shop-access}' || return
	for version in '--kube-version=1.36.0' '--kube-version=1.37.0'; do
		bin/tools/helm template doorward charts/doorward "$version" --set 'namespaces={shop-access}' >/dev/null || return
	done
}

# Whoever moves a tag of an action would run in our workflows, with their rights: each is named by
# its commit, with the tag in a comment. What is not understood here is refused.
actions() {
	local loose
	loose=$(git ls-files -z --cached --others --exclude-standard -- .github | xargs -0 -r grep -HnE '(^|[^[:alnum:]_-])uses["'\'']?[[:space:]]*:' |
		grep -vE '^[^:]+:[0-9]+: *(- )?uses: (\./[^[:space:]@]+|[[:alnum:]_.-]+(/[[:alnum:]_.-]+)+@[0-9a-f]{40} # v[0-9]+(\.[0-9]+)*)$' || true)
	[[ -z $loose ]] || {
		say "Not pinned by a commit of 40 digits, with its tag, as in 'uses: owner/name@<commit> # v1.2.3':"
		say "$loose"
		return 1
	}
	bin/tools/actionlint
}

make tools
check "generated files" generated
check "format" formatted
check "vet" go vet ./...
check "lint" make lint
check "import table" go test ./test/arch/...
check "modules" tidy
check "kustomizations" kustomizations
check "charts" charts
check "scripts" scripts
check "workflows" actions

if ((${#failed[@]} > 0)); then
	say "verify: failed: $(printf '%s; ' "${failed[@]}")"
	exit 1
fi
say "verify: all checks passed"
