// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
)

// Why there is no credential.
var (
	errNoSecret  = errors.New("credential Secret does not exist")
	errWrongType = errors.New("credential Secret has the wrong type")
	errNotWanted = errors.New("no snapshot names a credential Secret")
)

// CheckCredential asks a source for the credential of each of a snapshot's
// targets, as a session would, and reports and returns why the first is refused.
func CheckCredential(source upstream.CredentialSource, s *snapshot.Snapshot, problems *Problems) error {
	for _, target := range s.Targets {
		_, err := source.Get(context.Background(), upstream.Use{
			Namespace: s.Connection.Namespace, Name: s.Connection.Name,
			Target: upstream.Target{Host: target.Host, Port: uint16(target.Port)}, //nolint:gosec // 1 to 65535 by the API
		})
		if err == nil {
			continue
		}
		reason := v1alpha1.ReasonCredentialRejected
		switch {
		case errors.Is(err, errNoSecret):
			reason = v1alpha1.ReasonSecretNotFound
		case errors.Is(err, errWrongType):
			reason = v1alpha1.ReasonWrongSecretType
		}
		problems.Set(v1alpha1.ConditionCredentialAvailable, reason, err.Error())
		return err
	}
	problems.Clear(v1alpha1.ConditionCredentialAvailable)
	return nil
}
