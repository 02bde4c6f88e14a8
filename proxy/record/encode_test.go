// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

const testLog = "5f2a9c0e7d134b6688f0a1b2c3d4e5f6"

var (
	previous   = LeafHash([]byte("the record before"))
	at         = time.Date(2026, 3, 4, 5, 6, 7, 80, time.FixedZone("", 3600))
	connection = Connection{Namespace: "payments", Name: "orders", UID: "0d3c"}
	actor      = &identity.Principal{
		Provider: "corp", Issuer: "https://idp.example.com", Subject: "00u1", UserName: "alice@example.com",
		KubernetesUser: "oidc:alice@example.com", Groups: []string{"analysts", "staff"}, Kind: identity.Agent,
		Claims:       []identity.Claim{{Name: "clearance", Values: []string{"2"}}, {Name: "none"}, {Name: "teams", Values: []string{"billing", "support\n"}}},
		AbsentClaims: []string{"repository"},
		Delegation:   []identity.Actor{{Issuer: "https://idp.example.com", Subject: "assistant"}, {Subject: "tool"}},
		Method:       "gateway-token", Credential: identity.Issued{ID: "0123456789abcdef0123456789abcdef", ProvenBy: "oidc"},
		ProofID: "9f86d081884c7d659a2feaa0c55ad015", ExpiresAt: time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC),
	}
)

// events has one event of each type, every member set in one of them.
var events = map[Type]Event{
	ProxyStart: {Type: ProxyStart, Time: at, Attributes: []Attribute{{Name: "version", Value: "v0.1.0"}, {Name: "instance", Value: "orders-0"}}},
	ProxyStop:  {Type: ProxyStop, Time: at, Reason: "terminated"},
	Recovery: {
		Type: Recovery, Time: at, Reason: "the log was not closed",
		Attributes: []Attribute{{Name: "cutBytes", Value: "311"}, {Name: "operationsWithUnknownOutcome", Value: "1"}},
	},
	SnapshotApplied:      {Type: SnapshotApplied, Time: at, Connection: connection, Revision: 12},
	SnapshotRefused:      {Type: SnapshotRefused, Time: at, Connection: connection, Revision: 11, Reason: "revision below the highest seen: 11 < 12"},
	AuthenticationFailed: {Type: AuthenticationFailed, Time: at, Connection: connection, ClientAddress: "192.0.2.7:50123", Reason: "CredentialRejected: token expired", ReasonCode: ReasonCredential},
	SessionRefused: {
		Type: SessionRefused, Time: at, Connection: connection, Revision: 12, Actor: actor, ClientAddress: "192.0.2.7:50123", Reason: "no policy allows this caller", ReasonCode: ReasonNotAllowed,
		Decision: &Decision{Effect: policy.Deny, Message: "no policy allows this caller", Cause: "AccessPolicy \"on-call\" does not hold now\x1b[2K"},
	},
	SessionStart: {
		Type: SessionStart, Time: at, Session: "s-1", Connection: connection, Revision: 12, Actor: actor, ClientAddress: "[2001:db8::1]:50123",
		Attributes: []Attribute{{Name: "database", Value: "shop"}, {Name: "application_name", Value: "psql\x1b[2K\nforged"}},
	},
	AccessReviewed: {
		Type: AccessReviewed, Time: at, Connection: connection, Revision: 12, Actor: actor, ClientAddress: "192.0.2.7:50123",
		Operation: &Operation{Protocol: "postgres", Accesses: []policy.Access{{Action: "delete", Resource: "public.users"}}, Properties: []string{"unboundedWrite"}},
		Decision:  &Decision{Effect: policy.Deny, Rules: []policy.RuleRef{{Policy: "read", UID: "77", Generation: 4, Rule: "no-deletes"}}, Message: "rows are archived, not deleted"},
	},
	SessionEnd: {Type: SessionEnd, Time: at, Session: "s-1", Connection: connection, Reason: "closed by the caller", ReasonCode: EndClosed},
	OperationDecided: {
		Type: OperationDecided, Time: at, Session: "s-1", Connection: connection, Revision: 12, Actor: actor, OperationID: 3,
		Operation: &Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT email\n\tFROM public.users WHERE id = $1 -- \"\\d\"",
			Digest: "sha256:0a1b", Normalized: "select email from public.users where id = $1",
			Accesses: []policy.Access{{Action: "select", Resource: "public.users"}, {Action: "select", Resource: "vault.users", Indirect: true}, {Action: "begin"}}, Properties: []string{"readOnly"},
			Fields:     []string{"public.users.email", "public.users.id"},
			Parameters: 1, ParametersDigest: "sha256:2c3d", ParameterText: "$1 = 7",
		},
		Decision: &Decision{
			Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "read", UID: "77", Generation: 4, Rule: "select"}, {Cluster: true, Policy: "floor", UID: "78", Generation: 1}},
			Message: "reads only", Masks: []string{"read/emails"},
			Audit: &Would{
				Effect: policy.Deny, Rules: []policy.RuleRef{{Cluster: true, Policy: "floor-next", UID: "79", Generation: 2, Rule: "no-agents"}},
				Cause: "AccessPolicy \"guard\": spec.rego: out of steps",
				Masks: []string{"read/emails", "strict/names"},
			},
		},
		Approval: &Approval{Request: "ask-x7k2p", UID: "91", Outcome: "Approved", Approvers: []string{"oidc:bob@example.com"}},
	},
	OperationHeld: {
		Type: OperationHeld, Time: at, Session: "s-1", Connection: connection, Revision: 12, OperationID: 4,
		Operation: &Operation{Protocol: "postgres", Kind: "DELETE", Statement: "DELETE FROM public.users"},
		Decision:  &Decision{Effect: policy.RequireApproval}, Approval: &Approval{Request: "ask-x7k2p", UID: "91"},
	},
	OperationResult: {
		Type: OperationResult, Time: at, Session: "s-1", Connection: connection, OperationID: 3,
		Result: &Result{
			Outcome: "Succeeded", Rows: 2, Bytes: 120, Duration: 1500 * time.Microsecond, ErrorCode: "01000", MaskedFields: []string{"public.users.email"}, MaskedValues: 2,
			Exit: &Exit{Status: 0},
			Transfers: []Transfer{
				{Direction: ToTarget, Name: "/srv/in\x1b[2K", Bytes: 7, Offset: 4096, Digest: "sha256:1f2e"},
				{Direction: ToCaller, Bytes: 120, Undigested: "it is not contiguous"},
			},
			Response: &Response{Digest: "sha256:4e5f", Bytes: 120, Text: "id\temail\n1\t***\n", GapRows: 1, GapBytes: 60},
		},
	},
	TargetWatched: {
		Type: TargetWatched, Time: at, Connection: connection, Revision: 12,
		Actor:      &identity.Principal{Subject: "orders-0", UserName: "doorward:proxy:orders-0", Kind: identity.Workload, Method: "proxy"},
		Attributes: []Attribute{{Name: "target", Value: "db.example.com:5432"}, {Name: "role", Value: "shop_service"}},
	},
	ForeignLogin: {
		Type: ForeignLogin, Time: at, Connection: connection, Revision: 12, ClientAddress: "192.0.2.66:40022",
		Reason: "a login with the stored credential's role that no proxy made",
		Attributes: []Attribute{
			{Name: "target", Value: "db.example.com:5432"},
			{Name: "role", Value: "shop_service"},
			{Name: "ownRole", Value: "true"},
			{Name: "login", Value: "4711/2026-03-04T04:05:06Z"},
			{Name: "database", Value: "shop"},
			{Name: "name", Value: "psql"},
		},
	},
	SharedCredential: {
		Type: SharedCredential, Time: at, Session: "s-1", Connection: connection, Revision: 12, Actor: actor, ClientAddress: "192.0.2.7:50123",
		Reason:     "the credential is used from several places: 192.0.2.0/24, 198.51.100.0/24",
		Attributes: []Attribute{{Name: "networks", Value: "192.0.2.0/24,198.51.100.0/24"}, {Name: "sessions", Value: "s-1,s-2"}},
	},
	RecordingChunk: {
		Type: RecordingChunk, Time: at, Session: "s-2", Connection: connection, Revision: 12, Actor: actor, ClientAddress: "192.0.2.7:50123", OperationID: 5,
		Recording: &Recording{ID: "shell-1", Format: "asciicast/v2", Digest: "sha256:6a7b", Data: "{\"version\":2}\n[0.1,\"o\",\"\\u001b[2K\"]\n"},
	},
	RecordingEnd: {
		Type: RecordingEnd, Time: at, Session: "s-2", Connection: connection,
		Recording: &Recording{ID: "shell-1", Format: "asciicast/v2", Sequence: 1, Digest: "sha256:8c9d"},
	},
	RecordingRead: {
		Type: RecordingRead, Time: at, Connection: connection, Revision: 12, ClientAddress: "192.0.2.9:40112",
		Actor:    &identity.Principal{Subject: "1f0e", UserName: "oidc:dora@example.com\x1b[2K", KubernetesUser: "oidc:dora@example.com", Groups: []string{"auditors"}, Method: "tokenreview"},
		Decision: &Decision{Effect: policy.Deny, Cause: "no RBAC policy matched"}, ReasonCode: ReasonNotAllowed,
		Read: &Read{Session: "s-2", FirstRecord: 17, Unrecorded: 3, Follow: true},
	},
	Checkpoint: {
		Type: Checkpoint, Time: at,
		Checkpoint: &CheckpointNote{Size: 42, Note: "doorward.dev/log/" + testLog + "\n42\nAAAA\n\n\u2014 doorward.dev/log/" + testLog + " BBBB\n", Key: "doorward.dev/log/" + testLog + "+0a0b0c0d+AQ=="},
	},
	KeyRotated: {
		Type: KeyRotated, Time: at,
		Rotation: &KeyRotation{Key: "doorward.dev/log/" + testLog + "+0a0b0c0d+AQ==", Note: "doorward.dev/key-rotation/v1\n"},
	},
}

func encode(e Event) []byte {
	return AppendJSON(nil, Position{LogID: testLog, Index: 42}, previous, &e)
}

// TestGolden holds the JSON form of every record type, and compares it with
// what encoding/json makes of the documented struct.
func TestGolden(t *testing.T) {
	for kind, event := range events {
		t.Run(string(kind), func(t *testing.T) {
			got := append(encode(event), '\n')
			path := filepath.Join("testdata", string(kind)+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("JSON form: -want, +got:\n%s", diff)
			}
			document, err := Decode(bytes.TrimSpace(got))
			if err != nil {
				t.Fatal(err)
			}
			var again bytes.Buffer
			encoder := json.NewEncoder(&again)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(document); err != nil {
				t.Fatal(err)
			}
			// encoding/json drops the zeros at the end of a fraction.
			if diff := cmp.Diff(trimFractions(string(got)), again.String()); diff != "" {
				t.Errorf("appended and marshalled form differ: -appended, +marshalled:\n%s", diff)
			}
			position, err := Head(got)
			if diff := cmp.Diff(Position{LogID: testLog, Index: 42}, position); err != nil || diff != "" {
				t.Errorf("Head: %v: -want, +got:\n%s", err, diff)
			}
		})
	}
}

func trimFractions(s string) string {
	return strings.NewReplacer(".000000080Z", ".00000008Z", ".000000000Z", "Z").Replace(s)
}

func TestHeadSize(t *testing.T) {
	prefix := HeadPrefix(testLog)
	for _, index := range []int64{0, 9, 10, 99, 100, 1<<53 - 1} {
		if got, want := HeadSize(prefix, index), len(AppendHead(nil, prefix, index, previous, at)); got != want {
			t.Errorf("HeadSize(%d) = %d, want %d", index, got, want)
		}
	}
}

// TestAppendDoesNotAllocate holds the hot path free of allocations.
func TestAppendDoesNotAllocate(t *testing.T) {
	event := events[OperationDecided]
	buf := make([]byte, 0, 8<<10)
	prefix := HeadPrefix(testLog)
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendHead(buf[:0], prefix, 7, previous, at)
		buf = AppendBody(buf, &event)
	}); n != 0 {
		t.Errorf("%v allocations per record, want none", n)
	}
}

func TestStatementIsBounded(t *testing.T) {
	statement := strings.Repeat("x", StatementLimit-1) + "é" + strings.Repeat(" ", 2<<20) + "; DROP TABLE users"
	d, err := Decode(encode(Event{Type: OperationDecided, Operation: &Operation{Statement: statement, Normalized: statement}}))
	if err != nil {
		t.Fatal(err)
	}
	got := *d.Operation
	want := OperationDocument{
		Statement: statement[:StatementLimit-1], Truncated: int64(len(statement)),
		Normalized: statement[:StatementLimit-1], NormalizedTruncated: int64(len(statement)),
		Digest: got.Digest,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	other, err := Decode(encode(Event{Type: OperationDecided, Operation: &Operation{Statement: statement + "2"}}))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Digest) != len("sha256:")+64 || other.Operation.Digest == got.Digest {
		t.Errorf("digest %q must be of the whole statement, not of what is shown", got.Digest)
	}
}

func TestDecodeRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
	}{
		"Empty":     {reason: "nothing is no record", data: ""},
		"Schema":    {reason: "another schema may mean something else", data: `{"schema":"doorward.dev/record/v2","log":"a","index":0}`},
		"NoLog":     {reason: "a record without a log has no position", data: `{"schema":"doorward.dev/record/v1","index":0}`},
		"Negative":  {reason: "indexes begin at 0", data: `{"schema":"doorward.dev/record/v1","log":"a","index":-1,"time":"2026-01-01T00:00:00Z"}`},
		"Two":       {reason: "a line holds one record", data: `{"schema":"doorward.dev/record/v1","log":"a","index":0}{}`},
		"LeadZero":  {reason: "one number has one form", data: `{"schema":"doorward.dev/record/v1","log":"a","index":01,"time":""}`},
		"Oversized": {reason: "size is bounded before parsing", data: strings.Repeat(" ", MaxSize+1)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode([]byte(tc.data)); err == nil {
				t.Errorf("Decode accepted it: %s", tc.reason)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	event := events[OperationDecided]
	buf := make([]byte, 0, 8<<10)
	prefix := HeadPrefix(testLog)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendHead(buf[:0], prefix, 7, previous, at)
		buf = AppendBody(buf, &event)
	}
	b.SetBytes(int64(len(buf)))
}

func FuzzDecode(f *testing.F) {
	for _, event := range events {
		f.Add(encode(event))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Decode(data)
		position, headErr := Head(data)
		if err == nil && headErr == nil && position.Index < 0 {
			t.Errorf("negative index %d", position.Index)
		}
	})
}

// TestFieldsAreBounded: a wide answer makes no huge record, and says how much is
// missing.
func TestFieldsAreBounded(t *testing.T) {
	fields := make([]string, FieldsLimit+7)
	for i := range fields {
		fields[i] = "public.wide.c" + strings.Repeat("x", i)
	}
	d, err := Decode(encode(Event{Type: OperationDecided, Operation: &Operation{Kind: "SELECT", Fields: fields}}))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Operation.Fields) != FieldsLimit || d.Operation.FieldsTruncated != int64(len(fields)) {
		t.Errorf("%d fields of %d, want %d of %d", len(d.Operation.Fields), d.Operation.FieldsTruncated, FieldsLimit, len(fields))
	}
	if d, err = Decode(encode(Event{Type: OperationDecided, Operation: &Operation{Kind: "SELECT", Fields: []string{}}})); err != nil || d.Operation.Fields == nil {
		t.Errorf("none: %v, %v, want a list that is there", err, d.Operation.Fields)
	}
	if d, err = Decode(encode(Event{Type: OperationDecided, Operation: &Operation{Kind: "SELECT"}})); err != nil || d.Operation.Fields != nil {
		t.Errorf("not said: %v, %v, want no list", err, d.Operation.Fields)
	}
	if d, err = Decode(encode(Event{Type: OperationDecided, Operation: &Operation{Fields: fields[:FieldsLimit]}})); err != nil || d.Operation.FieldsTruncated != 0 {
		t.Errorf("not cut: %v, %d", err, d.Operation.FieldsTruncated)
	}
}

// TestTransfersAreBounded: whatever the files are called, their result can be recorded.
func TestTransfersAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		reason    string
		file      string
		count     int
		kept      int
		truncated int64
	}{
		"Few":  {"all of them are there", "/srv/file", 3, 3, 0},
		"Most": {"as many as a record holds", "/srv/file", TransfersLimit, TransfersLimit, 0},
		"Many": {"their number says that there were more", "/srv/file", TransfersLimit + 7, TransfersLimit, TransfersLimit + 7},
		"Long": {"names of the greatest length, all escaped, leave room for the rest", strings.Repeat("\x1b", 1<<20), 200, 5, 200},
	} {
		t.Run(name, func(t *testing.T) {
			result := &Result{Outcome: "Failed", Exit: &Exit{Signal: "KILL", Status: 9, CoreDumped: true}}
			for range c.count {
				result.Transfers = append(result.Transfers, Transfer{Direction: ToTarget, Name: c.file, Bytes: 1})
			}
			data := encode(Event{Type: OperationResult, Result: result})
			if len(data) > MaxSize/2 {
				t.Errorf("%s: %d bytes", c.reason, len(data))
			}
			d, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Result; len(got.Transfers) != c.kept || got.TransfersTruncated != c.truncated {
				t.Errorf("%s: %d transfers of %d, want %d of %d", c.reason, len(got.Transfers), got.TransfersTruncated, c.kept, c.truncated)
			}
			if diff := cmp.Diff(&ExitDocument{Signal: "KILL", CoreDumped: true}, d.Result.Exit); diff != "" {
				t.Errorf("exit: -want, +got:\n%s", diff)
			}
		})
	}
}

// TestCheckRecording: a part that a record could not hold as it is, is none.
func TestCheckRecording(t *testing.T) {
	good := *events[RecordingChunk].Recording
	for name, c := range map[string]struct {
		reason string
		change func(*Recording)
		want   bool
	}{
		"Part":     {"what the cast writer makes", func(*Recording) {}, true},
		"End":      {"the end has no data", func(r *Recording) { r.Data = "" }, true},
		"NoID":     {"nobody could tell it from others", func(r *Recording) { r.ID = "" }, false},
		"NoFormat": {"nobody could play it", func(r *Recording) { r.Format = "" }, false},
		"NoDigest": {"nobody could check it", func(r *Recording) { r.Digest = "" }, false},
		"LongID":   {"it would be cut", func(r *Recording) { r.ID = strings.Repeat("x", 200) }, false},
		"DrawnID":  {"it would be neutralised, so that two could be called the same", func(r *Recording) { r.ID = "shell\x1b1" }, false},
		"Escape":   {"parts are printable ASCII", func(r *Recording) { r.Data = "a\x1b[2K" }, false},
		"Text":     {"bytes that are no ASCII could change on the way", func(r *Recording) { r.Data = "\xff" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			if err := r.Check(); (err == nil) != c.want {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
	if kind := (&Recording{}).Type(); kind != RecordingEnd || good.Type() != RecordingChunk {
		t.Errorf("types: %q and %q", kind, good.Type())
	}
}
