// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/testenv"
)

// TestStory holds the story against what it stands on, short of telling it: files that
// commands name are there, and expectations can be read.
func TestStory(t *testing.T) {
	files := regexp.MustCompile(`hack/\S+`)
	titles := map[string]bool{}
	for _, s := range story {
		if titles[s.title] {
			t.Errorf("two steps are called %q", s.title)
		}
		titles[s.title] = true
		for _, name := range files.FindAllString(s.command, -1) {
			if _, err := os.Stat(filepath.Join(testenv.Root(), name)); err != nil {
				t.Errorf("step %q: %v", s.title, err)
			}
		}
		patterns := append(append([]string{s.await}, s.expect...), s.refuse...)
		if s.hold != nil {
			patterns = append(append(patterns, s.hold.at), s.hold.expect...)
			if at, do := s.hold.cue(); at.NumSubexp() == 0 || !strings.Contains(do, "{}") && s.hold.at == "" {
				t.Errorf("step %q waits for %q, and has no group for what is done: %q", s.title, at, do)
			}
		}
		for _, pattern := range patterns {
			if _, err := regexp.Compile(pattern); err != nil {
				t.Errorf("step %q: %v", s.title, err)
			}
		}
		if len(s.expect) == 0 {
			t.Errorf("step %q expects nothing", s.title)
		}
	}
}

// TestHouse: what the story says of the playground's own policies is so.
func TestHouse(t *testing.T) {
	var above v1alpha1.ClusterAccessPolicy
	var later v1alpha1.AccessPolicy
	for document := range strings.SplitSeq(house, "\n---\n") {
		switch {
		case strings.Contains(document, "kind: ClusterAccessPolicy"):
			decode(t, document, &above)
		case strings.Contains(document, "kind: AccessPolicy") && strings.Contains(document, "name: customers-later"):
			decode(t, document, &later)
		}
	}
	if above.Spec.Mode != v1alpha1.PolicyEnforce || len(above.Spec.Rules) != 1 || above.Spec.Rules[0].Effect != v1alpha1.EffectDeny {
		t.Errorf("the ClusterAccessPolicy does not forbid: %+v", above.Spec)
	}
	if later.Spec.Mode != v1alpha1.PolicyModeAudit {
		t.Errorf("policy %q has mode %s, want Audit", later.Name, later.Spec.Mode)
	}
}

func decode(t *testing.T, document string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
		t.Fatal(err)
	}
}
