// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// Match says whether a glob matches a name. '*' stands for any run of
// characters, also none; every other character stands for itself.
func Match(glob, name string) bool {
	head, rest, star := strings.Cut(glob, "*")
	if !star {
		return glob == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], next
	}
}
