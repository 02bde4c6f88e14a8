// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	serverLook    = time.Second
	serverTimeout = 5 * time.Second
	serverSay     = 15 * time.Second
)

// awaitServer waits until the API server answers at all, whatever it says. A manager
// that ended instead would be started again later each time, and be away for minutes
// after the API server is back. So would one that does not answer the kubelet
// meanwhile: at the health address, where there is one, it is alive and not ready.
func awaitServer(ctx context.Context, config *rest.Config, health string, log logr.Logger) error {
	config = rest.CopyConfig(config)
	config.Timeout = serverTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot reach the API server: %w", err)
	}
	_, err = client.ServerVersion()
	if !away(err) {
		return nil
	}
	stop, listenErr := answerProbes(ctx, health)
	if listenErr != nil {
		return listenErr
	}
	defer stop()
	tick := time.NewTicker(serverLook)
	defer tick.Stop()
	var said time.Time
	for away(err) {
		if time.Since(said) > serverSay {
			said = time.Now()
			log.Info("Waiting for the API server", "reason", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		_, err = client.ServerVersion()
	}
	return nil
}

// answerProbes answers /healthz and /readyz until the returned function is called,
// which waits for the end.
func answerProbes(ctx context.Context, address string) (stop func(), err error) {
	if address == "" || address == "0" {
		return func() {}, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for probes: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the API server does not answer", http.StatusServiceUnavailable)
	})
	server := &http.Server{Handler: mux, ReadTimeout: serverTimeout, WriteTimeout: serverTimeout}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // until it is closed
	}()
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}

// away says whether the API server did not answer, or cannot serve now.
func away(err error) bool {
	return err != nil && (apierrors.ReasonForError(err) == metav1.StatusReasonUnknown || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsInternalError(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err))
}
