// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

var errAway = errors.New("connection refused")

// leases is an API server that answers a Get with an error, or blocks.
type leases struct {
	client.Reader
	err    error
	blocks bool
}

func (l leases) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	if l.blocks {
		<-ctx.Done()
		return ctx.Err()
	}
	return l.err
}

func TestElectable(t *testing.T) {
	leads := make(chan struct{})
	close(leads)
	for name, tc := range map[string]struct {
		reason  string
		elected chan struct{}
		leases  leases
		ready   bool
	}{
		"Leads":   {reason: "who leads is ready, whatever the API server does", elected: leads, leases: leases{err: errAway}, ready: true},
		"Waits":   {reason: "who reads the Lease could take over", leases: leases{}, ready: true},
		"NoLease": {reason: "nobody has led yet", leases: leases{err: apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, leaseName)}, ready: true},
		"Refused": {reason: "who may not read the Lease cannot take over", leases: leases{err: apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, leaseName, nil)}},
		"Away":    {reason: "nor can who does not reach the API server", leases: leases{err: errAway}},
		"Hangs":   {reason: "the check ends by itself", leases: leases{blocks: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := electable(tc.elected, tc.leases, "doorward-system")(httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody))
			if (err == nil) != tc.ready {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

// caches are synced or not.
type caches bool

func (c caches) WaitForCacheSync(ctx context.Context) bool {
	if !c {
		<-ctx.Done()
	}
	return bool(c)
}

func TestSynced(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody)
	if err := synced(caches(true))(request); err != nil {
		t.Errorf("full caches: %v", err)
	}
	if err := synced(caches(false))(request); err == nil {
		t.Error("a manager with empty caches is ready")
	}
}

// TestChecksAreTold is checklist 51: whoever asks learns which check fails; why it does
// is in the log, once for each change, however often they ask.
func TestChecksAreTold(t *testing.T) {
	var said []string
	log := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
	var err error
	handler := &healthz.Handler{Checks: map[string]healthz.Checker{"leader": told(log, "leader", func(*http.Request) error { return err })}}
	ask := func() (int, string) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		return answer.Code, answer.Body.String()
	}
	for n := range 20 {
		err = fmt.Errorf("dial tcp 192.0.2.7:%d: %w", 30000+n, errAway)
		if code, body := ask(); code == http.StatusOK || !strings.Contains(body, "leader") || strings.Contains(body, "192.0.2.7") {
			t.Fatalf("%d %q, want the name of the check alone", code, body)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "192.0.2.7") {
		t.Errorf("said %q, want the reason once", said)
	}
	err = nil
	ask()
	ask()
	if len(said) != 2 || !strings.Contains(said[1], "Ready again") {
		t.Errorf("said %q, want the end once", said)
	}
}
