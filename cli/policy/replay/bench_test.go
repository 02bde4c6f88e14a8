// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/record"
)

// benchOperations is the number of operations in the records of BenchmarkReplay.
const benchOperations = 100_000

// busyLog writes the records of benchOperations operations: 2,000 sessions of 200 callers
// in 20 groups, 4,000 different operations, decisions and results, some of them masked.
func busyLog(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "records.jsonl")
	file, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	var index int64
	var leaf record.Hash
	var line []byte
	write := func(e record.Event) {
		line = record.AppendJSON(line[:0], record.Position{LogID: logID, Index: index}, leaf, &e)
		leaf = record.LeafHash(line)
		index++
		if _, err := out.Write(append(line, '\n')); err != nil {
			tb.Fatal(err)
		}
	}
	const sessions = 2000
	event := func(session int) record.Event {
		caller := session % 200
		return record.Event{
			Time: noon.Add(time.Duration(index) * 3 * time.Millisecond), Session: fmt.Sprintf("db-%016x", session), Revision: 12,
			Connection: record.Connection{Namespace: "shop", Name: "db", UID: "0d3c1e52-7a8b-4c1d-9e2f-001122334455"}, ClientAddress: fmt.Sprintf("192.0.2.%d:%d", caller, 30000+session),
			Actor: &identity.Principal{
				Provider: "corp", Issuer: "https://idp.example.com", Subject: fmt.Sprintf("00u%d", caller), UserName: fmt.Sprintf("user-%d@example.com", caller),
				Groups: []string{fmt.Sprintf("group-%d", caller%20), "staff"}, Kind: identity.Human, Method: "oidc", ExpiresAt: noon.Add(time.Duration(session) * time.Second),
			},
		}
	}
	for session := range sessions {
		e := event(session)
		e.Type = record.SessionStart
		write(e)
	}
	for n := range benchOperations {
		shape := n % 4000
		e := event(n % sessions)
		e.Type, e.OperationID = record.OperationDecided, uint64(n/sessions+1)
		table := fmt.Sprintf("public.table_%d", shape)
		e.Operation = &record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: fmt.Sprintf("SELECT id, name, email FROM table_%d WHERE id = $1 AND created > now() - interval '1 day'", shape),
			Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Parameters: 1,
			Accesses: []policy.Access{{Action: "select", Resource: table}}, Fields: []string{table + ".created", table + ".email", table + ".id", table + ".name"},
		}
		e.Decision = &record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "group-1", UID: "77", Generation: 4, Rule: "read"}}, Masks: []string{"staff/emails"}}
		result := e
		write(e)
		result.Type, result.Operation, result.Decision = record.OperationResult, nil, nil
		result.Result = &record.Result{Outcome: "Succeeded", Rows: 3, Bytes: 140, Duration: 400 * time.Microsecond, MaskedFields: []string{table + ".email"}, MaskedValues: 3}
		write(result)
	}
	if err := out.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

// benchPolicies are 200 rules in 21 policies, by which one operation of twenty is refused.
func benchPolicies() candidates {
	all := of("staff")
	all.Masks = []policy.Mask{strict("emails", "*.email")}
	set := []policy.Policy{all}
	for group := range 20 {
		p := of(fmt.Sprintf("group-%d", group), rule("read", policy.Allow, "select", "public.*"))
		p.Subjects = []policy.Subject{{Kind: policy.Group, Name: fmt.Sprintf("group-%d", group)}}
		for r := range 9 {
			p.Rules = append(p.Rules, rule(fmt.Sprintf("no-%d", r), policy.Deny, "delete", fmt.Sprintf("public.table_%d*", r)))
		}
		if group == 9 {
			p.Rules[9] = rule("no-9", policy.Deny, "select", "*9")
		}
		set = append(set, p)
	}
	return candidates{Policies: set}
}

// BenchmarkReplay replays 100,000 operations. It reports how many are decided in a second,
// the processor time that this takes, which a busy machine changes less, and the most
// memory that was in use.
func BenchmarkReplay(b *testing.B) {
	path := busyLog(b)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	var peak atomic.Uint64
	began := processorTime(b)
	for b.Loop() {
		source := replay.Source{Paths: []string{path}, Progress: func(int64, int64) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
		}}
		report, problems, err := replay.Run(b.Context(), source, benchPolicies(), rego.NewEngine)
		if err != nil || len(problems) > 0 {
			b.Fatal(err, problems)
		}
		denied := int64(0)
		for _, g := range report.Changes {
			denied += g.Count
		}
		if report.Decided != benchOperations || denied != benchOperations/20 || len(report.MasksUnknown)+len(report.Undecided) > 0 {
			b.Fatalf("%d decided, %d denied, %d masks unknown", report.Decided, denied, len(report.MasksUnknown))
		}
	}
	b.ReportMetric(float64(benchOperations)*float64(b.N)/b.Elapsed().Seconds(), "operations/s")
	b.ReportMetric((processorTime(b)-began).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(peak.Load())/(1<<20), "MiB-heap")
}

// processorTime is what this process has used so far.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
