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
	"slices"
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

// MaxBytes bounds one entry, so that those of 32 instances fit a ConfigMap.
const MaxBytes = 32 << 10

// MaxSinks bounds the sinks of one entry, MaxSinkError the error of one, in bytes.
const (
	MaxSinks     = 32
	MaxSinkError = 256
)

// Report is one instance's entry. It holds no secret.
type Report struct {
	// Instance is the id of the proxy, unique among the live ones of a Connection.
	Instance string `json:"instance"`
	// Revision is the snapshot revision the instance runs; 0 means none.
	Revision int64 `json:"revision"`
	// Wants is the least revision that the instance takes, where what is published
	// is below or beside one that it has seen; 0 otherwise. The API server's data
	// was restored from an older copy then, and the manager has to go beyond.
	Wants int64 `json:"wants,omitempty"`
	// ObservedAt is when the entry was last renewed.
	ObservedAt time.Time `json:"observedAt"`
	// Nonce is random and fixed for the life of the process: another nonce
	// under the same instance means two processes with one id.
	Nonce string `json:"nonce"`
	// Address is the host:port the instance listens on; may be empty.
	Address string `json:"address,omitempty"`
	// Recordings is the host:port where the instance gives the manager the recordings of
	// sessions; empty for nowhere.
	Recordings string `json:"recordings,omitempty"`
	// Problems is what keeps the instance from serving; empty means that it serves.
	Problems []Problem `json:"problems,omitempty"`
	// Sinks is how each LogSink takes the instance's records, by name; at most
	// MaxSinks of them.
	Sinks []Sink `json:"sinks,omitempty"`
	// Target is what the instance knows of the target; nil for nothing.
	Target *Target `json:"target,omitempty"`
	// Audits count what policies in mode Audit would have changed since they came into
	// force here, those of them that would have changed anything; at most MaxAudits,
	// those with the largest counts.
	Audits []Audit `json:"audits,omitempty"`
}

// MaxAudits bounds the policies of one entry.
const MaxAudits = 64

// Audit is what one generation of a policy in mode Audit would have changed at one
// instance.
type Audit struct {
	// Cluster says that Policy is a ClusterAccessPolicy.
	Cluster    bool   `json:"cluster,omitempty"`
	Policy     string `json:"policy"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
	// Deny, RequireApproval and Allow are the numbers of operations with that effect
	// instead of the one they had, Deny and Allow also of sessions; Mask is that of
	// operations whose answer would have been masked otherwise.
	Deny            int64 `json:"deny,omitempty"`
	RequireApproval int64 `json:"requireApproval,omitempty"`
	Allow           int64 `json:"allow,omitempty"`
	Mask            int64 `json:"mask,omitempty"`
}

// Sink is how one LogSink takes an instance's records.
type Sink struct {
	// Name is the LogSink's.
	Name string `json:"name"`
	// Reachable says that the sink took the last batch, or that it has not been
	// tried since it was opened without an error.
	Reachable bool `json:"reachable"`
	// Lag is the number of records that the sink has not acknowledged.
	Lag int64 `json:"lag"`
	// AcknowledgedAt is when the sink last acknowledged records of this process;
	// zero where it has not.
	AcknowledgedAt time.Time `json:"acknowledgedAt,omitzero"`
	// Error is why the last attempt failed, at most MaxSinkError bytes of
	// printable text, never a secret; empty after a success.
	Error string `json:"error,omitempty"`
	// Missed is the number of records that were deleted before the sink came,
	// or came back.
	Missed int64 `json:"missed,omitempty"`
}

// Problem is one thing that is wrong, in the form of a condition: Type is the
// condition it concerns, such as CredentialAvailable.
type Problem struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// The types of the problems with an instance's log.
const (
	// LogWritable: the log takes no records, so that everything is refused.
	LogWritable = "LogWritable"
	// LogSpace: the log is nearly full.
	LogSpace = "LogSpace"
	// LogConsistent: the witness holds another history of the log.
	LogConsistent = "LogConsistent"
	// Stopped: the instance has stopped in order, and left records undelivered.
	Stopped = "Stopped"
)

// Hinders says whether the problem keeps the instance from serving. The others
// are for people to look at.
func (p Problem) Hinders() bool { return p.Type != LogSpace && p.Type != LogConsistent }

// Encode makes the entry's text. Where it would be too long, the ends of the sinks'
// errors are left out, and then the smallest counts: an instance whose report is missing
// is taken to be gone.
func Encode(r Report) (string, error) {
	data, err := json.Marshal(r)
	if err == nil && len(data) > MaxBytes {
		r.Sinks = slices.Clone(r.Sinks)
		for i := range r.Sinks {
			r.Sinks[i].Error = r.Sinks[i].Error[:min(len(r.Sinks[i].Error), 32)]
		}
		data, err = json.Marshal(r)
	}
	for err == nil && len(data) > MaxBytes && len(r.Audits) > 0 {
		r.Audits = r.Audits[:len(r.Audits)/2]
		data, err = json.Marshal(r)
	}
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
