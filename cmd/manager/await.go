// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
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
// after the API server is back.
func awaitServer(ctx context.Context, config *rest.Config, log logr.Logger) error {
	config = rest.CopyConfig(config)
	config.Timeout = serverTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot reach the API server: %w", err)
	}
	tick := time.NewTicker(serverLook)
	defer tick.Stop()
	var said time.Time
	for {
		if _, err = client.ServerVersion(); err == nil || !away(err) {
			return nil
		}
		if time.Since(said) > serverSay {
			said = time.Now()
			log.Info("Waiting for the API server", "reason", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// away says whether the API server did not answer, or cannot serve now.
func away(err error) bool {
	return apierrors.ReasonForError(err) == metav1.StatusReasonUnknown || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsInternalError(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err)
}
