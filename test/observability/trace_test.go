// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package observability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
)

// TestTraceOfASession: the road of a psql session is in one trace, as a tree.
func TestTraceOfASession(t *testing.T) {
	busy(t)
	var root *otlp.Span
	var all []*otlp.Span
	await(t, "the spans of the session", func(context.Context) error {
		root, all = spans.session(func(s *otlp.Span) bool { return attribute(s, "doorward.session.id") != "" })
		if root == nil {
			return errors.New("no span of a closed session")
		}
		return nil
	})
	session := attribute(root, "doorward.session.id")
	var got []string
	slices.SortStableFunc(all, func(a, b *otlp.Span) int { return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano()) })
	below := func(parent *otlp.Span) (children []*otlp.Span) {
		for _, s := range all {
			if string(s.GetParentSpanId()) == string(parent.GetSpanId()) {
				children = append(children, s)
			}
		}
		return children
	}
	for _, child := range below(root) {
		names := child.GetName()
		for _, part := range below(child) {
			names += " " + part.GetName()
			if part.GetStartTimeUnixNano() < child.GetStartTimeUnixNano() || part.GetEndTimeUnixNano() > child.GetEndTimeUnixNano() {
				t.Errorf("%s is not within %s", part.GetName(), child.GetName())
			}
		}
		got = append(got, names)
		if child.GetStartTimeUnixNano() < root.GetStartTimeUnixNano() || child.GetEndTimeUnixNano() > root.GetEndTimeUnixNano() {
			t.Errorf("%s is not within the session", child.GetName())
		}
	}
	want := []string{
		"tls", "authenticate", "authorize", "dial",
		"SELECT parse decide record forward answer",
		"SELECT parse decide record forward answer mask",
		"DROP TABLE parse decide record",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the session's road (-want +got):\n%s", diff)
	}
	for i, s := range slices.DeleteFunc(below(root), func(s *otlp.Span) bool { return attribute(s, "doorward.operation.id") == "" }) {
		if attribute(s, "doorward.session.id") != session || attribute(s, "doorward.operation.id") != fmt.Sprint(i+1) ||
			attribute(s, "db.system.name") != "postgresql" || attribute(s, "server.address") == "" || attribute(s, "doorward.connection") != "shop/shop-db" {
			t.Errorf("attributes of operation %d: %v", i+1, s.GetAttributes())
		}
	}
}

// TestTraceOfTheCaller: a statement that names its caller's trace is part of it,
// and linked to its session.
func TestTraceOfTheCaller(t *testing.T) {
	busy(t)
	await(t, "the operation in the caller's trace", func(context.Context) error {
		spans.mu.Lock()
		defer spans.mu.Unlock()
		for _, s := range spans.spans {
			if fmt.Sprintf("%x", s.GetTraceId()) == clientTrace && s.GetName() == "SELECT" && len(s.GetLinks()) == 1 {
				return nil
			}
		}
		return errors.New("not there")
	})
}

// TestTracesHoldNoSecret: checklist 47, no statement, value, name or credential.
func TestTracesHoldNoSecret(t *testing.T) {
	busy(t)
	await(t, "the refused login", func(context.Context) error {
		root, _ := spans.session(func(s *otlp.Span) bool { return attribute(s, "doorward.reason") == "CredentialRejected" })
		if root == nil {
			return errors.New("no span of it")
		}
		return nil
	})
	spans.mu.Lock()
	defer spans.mu.Unlock()
	for _, canary := range []string{"canary", suite.Canary, headerCanary, person, "orders", "customers", "traceparent"} {
		if strings.Contains(string(spans.text), canary) {
			t.Errorf("a span holds %q", canary)
		}
	}
	if spans.bare > 0 {
		t.Errorf("%d requests came without the collector's credential", spans.bare)
	}
}
