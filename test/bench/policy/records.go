// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
)

// The shape of what is on record: so many sessions of so many callers in so many groups,
// and so many different operations.
const (
	recordedSessions = 2000
	recordedCallers  = 200
	recordedGroups   = 20
	recordedShapes   = 4000
)

// writeLog writes the records of operations as a proxy does, to a log of its own with
// checkpoints: sessions begin, each operation is decided and has its result, sessions end.
func writeLog(ctx context.Context, dir string, operations int) (err error) {
	log, err := spool.Open(ctx, spool.Options{Dir: dir, MaxBytes: 8 << 30, SegmentBytes: spool.DefaultSegmentBytes})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	sessions := min(recordedSessions, operations)
	memos := make([]record.Memo, sessions)
	event := func(session int, kind record.Type) record.Event {
		caller := session % recordedCallers
		return record.Event{
			Type: kind, Session: fmt.Sprintf("db-%016x", session), Revision: 12, Memo: &memos[session],
			Connection:    record.Connection{Namespace: "shop-access", Name: "orders-db", UID: "0d3c1e52-7a8b-4c1d-9e2f-001122334455"},
			ClientAddress: fmt.Sprintf("192.0.2.%d:%d", caller, 30000+session),
			Actor: &identity.Principal{
				Provider: "company", Issuer: "https://login.shop.example", Subject: fmt.Sprintf("00u%d", caller), UserName: fmt.Sprintf("user-%d@shop.example", caller),
				Groups: []string{fmt.Sprintf("group-%d", caller%recordedGroups), "staff"}, Kind: identity.Human, Method: "oidc",
				ExpiresAt: time.Now().Add(time.Duration(session) * time.Second),
			},
		}
	}
	for session := range sessions {
		if err := log.AppendLater(event(session, record.SessionStart)); err != nil {
			return err
		}
	}
	for n := range operations {
		table := fmt.Sprintf("public.table_%d", n%recordedShapes)
		e := event(n%sessions, record.OperationDecided)
		e.OperationID = uint64(n/sessions + 1)
		e.Operation = &record.Operation{
			Protocol: "postgres", Kind: "SELECT", Parameters: 1,
			Statement: fmt.Sprintf("SELECT id, name, email FROM table_%d WHERE id = $1 AND created > now() - interval '1 day'", n%recordedShapes),
			Digest:    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			Accesses:  []policy.Access{{Action: "select", Resource: table}},
			Fields:    []string{table + ".created", table + ".email", table + ".id", table + ".name"},
		}
		e.Decision = &record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "group-1", UID: "77", Generation: 4, Rule: "read"}}, Masks: []string{"staff/emails"}}
		result := event(n%sessions, record.OperationResult)
		result.OperationID = e.OperationID
		result.Result = &record.Result{
			Outcome: "Succeeded", Rows: 3, Bytes: 140, Duration: 400 * time.Microsecond, MaskedFields: []string{table + ".email"}, MaskedValues: 3,
		}
		if err := errors.Join(log.AppendLater(e), log.AppendLater(result)); err != nil {
			return err
		}
	}
	for session := range sessions {
		if err := log.AppendLater(event(session, record.SessionEnd)); err != nil {
			return err
		}
	}
	return nil
}
