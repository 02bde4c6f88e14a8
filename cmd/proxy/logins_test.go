// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/access"
)

// TestInstanceTag: the tag of an instance is the same in each of its processes, and
// in the eyes of others, which have its report; another log is another instance.
func TestInstanceTag(t *testing.T) {
	tag := instanceTag("shop-0", "1f")
	if len(tag) != access.TagLength || strings.Trim(tag, access.TagAlphabet) != "" {
		t.Errorf("tag %q", tag)
	}
	if tag != instanceTag("shop-0", "1f") || tag == instanceTag("shop-1", "1f") || tag == instanceTag("shop-0", "2f") {
		t.Error("it does not tell instances apart")
	}
}
