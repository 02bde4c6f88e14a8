// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must be in order for the proxy to be ready.
type Check struct {
	Name string
	// Ready is nil where it is, else it says what is missing. It returns at once.
	Ready func() error
}

// healthTimeout bounds reading and answering one request, and the shutdown.
const healthTimeout = 5 * time.Second

// mostScrapes is how many requests for metrics are answered at the same time: every
// pod may ask.
const mostScrapes = 4

// Health serves /healthz, /readyz and /metrics, and nothing else. Whoever asks for
// readiness learns the names of the checks that fail; why they do, which may name paths
// and errors of the disk, is in the log, once for each change.
func Health(metrics *Metrics, log logr.Logger, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	readiness := &readiness{log: log, checks: checks, said: map[string]string{}}
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if missing := readiness.missing(); len(missing) > 0 {
			answer(w, http.StatusServiceUnavailable, strings.Join(missing, "\n")+"\n")
			return
		}
		answer(w, http.StatusOK, "ok\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: mostScrapes}))
	return mux
}

// readiness remembers what was said of checks, so that nobody fills the log by asking.
type readiness struct {
	log    logr.Logger
	checks []Check

	mu   sync.Mutex        // guards said
	said map[string]string // why a check failed, by its name, numbers aside
}

// missing names the checks that fail.
func (r *readiness) missing() (names []string) {
	for _, check := range r.checks {
		err := check.Ready()
		if err != nil {
			names = append(names, check.Name)
		}
		r.say(check.Name, err)
	}
	return names
}

func (r *readiness) say(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, failed := r.said[name]
	switch {
	case err == nil && failed:
		delete(r.said, name)
		r.log.Info("Ready again", "check", name)
	case err != nil:
		if now := gist(err); !failed || now != before {
			r.said[name] = now
			r.log.Info("Not ready", "check", name, "reason", err.Error())
		}
	}
}

// gist is an error without its numbers, which may go on all the time.
func gist(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// Whoever asked may have left.
	_, _ = w.Write([]byte(text))
}

// ServeHealth serves a handler on a listener until ctx ends.
func ServeHealth(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadTimeout: healthTimeout, WriteTimeout: healthTimeout, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("cannot serve health: %w", err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	err := server.Shutdown(bound)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
