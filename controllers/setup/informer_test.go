// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// source gives one error after the other, then none.
type source struct {
	errs  []error
	asked int
}

func (s *source) ListWithContext(context.Context, metav1.ListOptions) (runtime.Object, error) {
	s.asked++
	if s.asked <= len(s.errs) {
		return nil, s.errs[s.asked-1]
	}
	return &metav1.PartialObjectMetadataList{}, nil
}

func (s *source) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if _, err := s.ListWithContext(ctx, options); err != nil {
		return nil, err
	}
	return watch.NewFake(), nil
}

func TestPersistent(t *testing.T) {
	refused := errors.New("dial tcp: connection refused")
	expired := apierrors.NewResourceExpired("too old")
	cases := map[string]struct {
		reason string
		errs   []error
		want   error
		asked  int
	}{
		"Answers":      {reason: "an API server that is there is asked once", asked: 1},
		"ComesBack":    {reason: "one that is away is asked until it is back", errs: []error{refused, refused, refused}, asked: 4},
		"StartsUp":     {reason: "one that is not ready yet is asked again", errs: []error{apierrors.NewServiceUnavailable("starting")}, asked: 2},
		"Expired":      {reason: "the reflector lists again at once where a version is gone", errs: []error{expired}, want: expired, asked: 1},
		"Unauthorized": {reason: "what it says is passed on", errs: []error{apierrors.NewForbidden(schema.GroupResource{}, "", nil)}, want: apierrors.NewForbidden(schema.GroupResource{}, "", nil), asked: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, ask := range []func(*persistent) error{
				func(p *persistent) error { _, err := p.List(metav1.ListOptions{}); return err },
				func(p *persistent) error { _, err := p.Watch(metav1.ListOptions{}); return err },
			} {
				s := &source{errs: c.errs}
				err := ask(&persistent{source: s, log: logr.Discard(), pause: time.Millisecond})
				if (err == nil) != (c.want == nil) || err != nil && err.Error() != c.want.Error() {
					t.Errorf("%s: got %v, want %v", c.reason, err, c.want)
				}
				if s.asked != c.asked {
					t.Errorf("%s: asked %d times, want %d", c.reason, s.asked, c.asked)
				}
			}
		})
	}
	t.Run("Ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := &source{errs: []error{refused}}
		if _, err := (&persistent{source: s, log: logr.Discard(), pause: time.Hour}).ListWithContext(ctx, metav1.ListOptions{}); !errors.Is(err, refused) {
			t.Errorf("got %v, want the last error once the manager ends", err)
		}
	})
}
