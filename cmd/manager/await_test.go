// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/test/proc"
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
			if err := awaitServer(ctx, &rest.Config{Host: server.URL}, "0", logr.Discard()); err != nil || ctx.Err() != nil || asked.Load() != 3 {
				t.Errorf("awaitServer() = %v, context %v, after %d requests; want 3", err, ctx.Err(), asked.Load())
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitServer(ctx, &rest.Config{Host: "http://127.0.0.1:1"}, "0", logr.Discard()); err != nil {
		t.Errorf("told to stop while it waited: %v", err)
	}
}

// TestAwaitServerAnswersProbes: a manager that waits is alive and not ready, so that
// the kubelet leaves it alone; the address is free when it goes on.
func TestAwaitServerAnswersProbes(t *testing.T) {
	var back atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !back.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"major":"1"}`))
	}))
	defer server.Close()
	health, err := proc.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- awaitServer(ctx, &rest.Config{Host: server.URL}, health, logr.Discard()) }()
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		for {
			answer, err := http.Get("http://" + health + path)
			if err != nil {
				if ctx.Err() != nil {
					t.Fatalf("%s: nobody answers while the manager waits: %v", path, err)
				}
				runtime.Gosched()
				continue
			}
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("%s is %d while the manager waits, want %d", path, answer.StatusCode, want)
			}
			break
		}
	}
	back.Store(true)
	if err := <-ended; err != nil || ctx.Err() != nil {
		t.Fatalf("awaitServer() = %v, context %v", err, ctx.Err())
	}
	again, err := net.Listen("tcp", health)
	if err != nil {
		t.Fatalf("the manager itself cannot listen: %v", err)
	}
	_ = again.Close()
}
