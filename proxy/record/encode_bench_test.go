// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// BenchmarkAppendBody encodes the two records of an ordinary operation, all but
// their heads.
func BenchmarkAppendBody(b *testing.B) {
	decided := record.Event{
		Type: record.OperationDecided, Session: "s-0123456789abcdef", Revision: 12, OperationID: 7,
		Connection:    record.Connection{Namespace: "payments", Name: "orders", UID: "0d3c1e52-7a8b-4c1d-9e2f-001122334455"},
		ClientAddress: "192.0.2.7:50123",
		Actor: &identity.Principal{
			Provider: "corp", Issuer: "https://idp.example.com", Subject: "00u1", UserName: "alice@example.com",
			Groups: []string{"analysts", "staff"}, Kind: identity.Human, Method: "oidc", ExpiresAt: time.Unix(1800000000, 0),
		},
		Operation: &record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
			Digest:   "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			Accesses: []policy.Access{{Action: "select", Resource: "public.pgbench_accounts"}}, Parameters: 1,
		},
		Decision: &record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "read", UID: "77", Generation: 4, Rule: "select"}}},
	}
	result := decided
	result.Type, result.Operation, result.Decision = record.OperationResult, nil, nil
	result.Result = &record.Result{Outcome: "Completed", Rows: 1, Bytes: 4, Duration: time.Millisecond}
	for name, memo := range map[string]*record.Memo{"Anew": nil, "Remembered": {}} {
		b.Run(name, func(b *testing.B) {
			decided.Memo, result.Memo = memo, memo
			var body []byte
			b.ReportAllocs()
			for b.Loop() {
				body = record.AppendBody(body[:0], &decided)
				body = record.AppendBody(body, &result)
			}
			b.SetBytes(int64(len(body)))
		})
	}
}
