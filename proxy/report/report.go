// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report is what a proxy instance tells about itself: one JSON entry
// per instance in the report ConfigMap of its Connection, keyed by instance and
// rewritten at least every RenewEvery. The manager shows it in the Connection's
// status.
package report

import (
	"encoding/json"
	"fmt"
	"time"
)

// An instance renews its entry every RenewEvery; one not renewed for StaleAfter
// is taken to be gone.
const (
	RenewEvery = 30 * time.Second
	StaleAfter = 90 * time.Second
)

// ConfigMapName is the ConfigMap, beside its Connection, that proxies report in.
func ConfigMapName(connection string) string { return "doorward-" + connection + "-proxies" }

// MaxBytes bounds one entry.
const MaxBytes = 8 << 10

// Report is one instance's entry. It holds no secret.
type Report struct {
	// Instance is the id of the proxy, unique among the live ones of a Connection.
	Instance string `json:"instance"`
	// Revision is the snapshot revision the instance runs; 0 means none.
	Revision int64 `json:"revision"`
	// ObservedAt is when the entry was last renewed.
	ObservedAt time.Time `json:"observedAt"`
	// Nonce is random and fixed for the life of the process: another nonce
	// under the same instance means two processes with one id.
	Nonce string `json:"nonce"`
	// Address is the host:port the instance listens on; may be empty.
	Address string `json:"address,omitempty"`
	// Problems is what keeps the instance from serving; empty means that it serves.
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is one thing that is wrong, in the form of a condition: Type is the
// condition it concerns, such as CredentialAvailable.
type Problem struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Encode makes the entry's text.
func Encode(r Report) (string, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("cannot encode report: %w", err)
	}
	if len(data) > MaxBytes {
		return "", fmt.Errorf("cannot encode report: %d bytes, limit %d", len(data), MaxBytes)
	}
	return string(data), nil
}

// Decode reads an entry; key is the key it was found under, which must be the
// instance's id.
func Decode(key, text string) (Report, error) {
	var r Report
	if len(text) > MaxBytes {
		return r, fmt.Errorf("cannot decode report: %d bytes, limit %d: %q", len(text), MaxBytes, key)
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Report{}, fmt.Errorf("cannot decode report: %q: %w", key, err)
	}
	if r.Instance != key {
		return Report{}, fmt.Errorf("cannot decode report: instance %q under key %q", r.Instance, key)
	}
	return r, nil
}
