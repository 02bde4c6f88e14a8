// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// timeline is an API server at a version.
type timeline struct {
	toolscache.ListerWatcherWithContext
	version uint64
}

func (s *timeline) ListWithContext(context.Context, metav1.ListOptions) (runtime.Object, error) {
	return &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatUint(s.version, 10)}}, nil
}

func (s *timeline) WatchWithContext(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return watch.NewFake(), nil
}

// TestHistory: a watch that would be silent, or miss something, after etcd was
// restored from an older copy is refused, so that its reflector lists again.
func TestHistory(t *testing.T) {
	past, server := &history{log: logr.Discard()}, &timeline{version: 100}
	one := &persistent{source: server, log: logr.Discard(), pause: time.Millisecond, past: past}
	two := &persistent{source: server, log: logr.Discard(), pause: time.Millisecond, past: past}
	initial := true
	for _, step := range []struct {
		reason  string
		at      uint64 // where the API server is
		of      *persistent
		options metav1.ListOptions
		list    bool
		expired bool
	}{
		{reason: "a list", at: 100, of: one, list: true},
		{reason: "a watch from there", at: 100, of: one, options: metav1.ListOptions{ResourceVersion: "100"}},
		{reason: "one that goes on from the past", at: 120, of: one, options: metav1.ListOptions{ResourceVersion: "110"}},
		{reason: "a list of another kind", at: 120, of: two, list: true},
		{reason: "the API server went back", at: 90, of: one, options: metav1.ListOptions{ResourceVersion: "110"}, expired: true},
		{reason: "a list in one stream cannot begin in the future either", at: 90, of: one, options: metav1.ListOptions{ResourceVersion: "110", SendInitialEvents: &initial}, expired: true},
		{reason: "one that begins anywhere can", at: 90, of: one, options: metav1.ListOptions{SendInitialEvents: &initial}},
		{reason: "and is gone on from", at: 91, of: one, options: metav1.ListOptions{ResourceVersion: "90"}},
		{reason: "another kind is told, though the API server is where it was again", at: 130, of: two, options: metav1.ListOptions{ResourceVersion: "120"}, expired: true},
		{reason: "a list at least as new as what was seen is whole", at: 130, of: two, options: metav1.ListOptions{ResourceVersion: "120"}, list: true},
		{reason: "and is gone on from, too", at: 130, of: two, options: metav1.ListOptions{ResourceVersion: "130"}},
	} {
		server.version = step.at
		var err error
		if step.list {
			_, err = step.of.ListWithContext(t.Context(), step.options)
		} else {
			_, err = step.of.WatchWithContext(t.Context(), step.options)
		}
		if apierrors.IsResourceExpired(err) != step.expired || !step.expired && err != nil {
			t.Errorf("%s: got %v, want expired: %t", step.reason, err, step.expired)
		}
	}
}
