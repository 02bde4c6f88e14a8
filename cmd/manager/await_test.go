// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// TestAwaitServer: what is away is waited for; what refuses is not.
func TestAwaitServer(t *testing.T) {
	var asked atomic.Int32
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write([]byte(`{"major":"1"}`))
	}))
	defer server.Close()
	for name, code := range map[string]int32{"Answers": http.StatusOK, "Refuses": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			status.Store(code)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := awaitServer(ctx, &rest.Config{Host: server.URL}, logr.Discard()); err != nil || ctx.Err() != nil || asked.Load() != 3 {
				t.Errorf("awaitServer() = %v, context %v, after %d requests; want 3", err, ctx.Err(), asked.Load())
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitServer(ctx, &rest.Config{Host: "http://127.0.0.1:1"}, logr.Discard()); err != nil {
		t.Errorf("told to stop while it waited: %v", err)
	}
}
