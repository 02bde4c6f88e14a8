#!/usr/bin/env bash
# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Pushes an image archive that hack/image wrote, byte for byte, so that the registry knows it
# by the digest that hack/image printed. Credentials are those of `docker login` or
# `bin/tools/crane auth login`.
#
#   push.sh <archive> <registry/repository:tag>
set -euo pipefail

(($# == 2)) || { sed -n 's/^#   /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }
crane=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/bin/tools/crane
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# crane rewrites an archive with Docker's manifest.json, but not a folder in OCI's layout.
tar -x -f "$1" -C "$folder" --exclude manifest.json
"$crane" push "$folder" "$2"
