// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ocsf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/ocsf"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// goldenRecords are the documented examples of every type of record.
func goldenRecords(t *testing.T) map[string]record.Record {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden records: %v", err)
	}
	records := map[string]record.Record{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		line := bytes.TrimSpace(data)
		position, err := record.Head(line)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		records[strings.TrimSuffix(filepath.Base(path), ".json")] = record.Record{Position: position, JSON: line}
	}
	return records
}

// schemas are those of the classes, by class_uid.
func schemas(t *testing.T) map[int]*jsonschema.Schema {
	t.Helper()
	const base = "https://doorward.dev/ocsf/1.8.0/"
	compiler := jsonschema.NewCompiler()
	paths, err := filepath.Glob("schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := compiler.AddResource(base+filepath.Base(path), doc); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	compiled := map[int]*jsonschema.Schema{}
	for class, file := range map[int]string{
		0: "base_event", 2004: "detection_finding", 3002: "authentication", 6002: "application_lifecycle", 6003: "api_activity", 6005: "datastore_activity",
	} {
		schema, err := compiler.Compile(base + file + ".json")
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		compiled[class] = schema
	}
	return compiled
}

// check holds an event against what every event must be, and returns it.
func check(t *testing.T, all map[int]*jsonschema.Schema, r record.Record, event []byte) map[string]any {
	t.Helper()
	if bytes.IndexByte(event, '\n') >= 0 {
		t.Error("more than one line")
	}
	raw, err := ocsf.Raw(event)
	if err != nil || !bytes.Equal(raw, r.JSON) {
		t.Errorf("Raw: %v: got\n%s\nwant\n%s", err, raw, r.JSON)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	object, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("no object: %s", event)
	}
	number := func(name string) int {
		n, ok := object[name].(json.Number)
		if !ok {
			t.Fatalf("%s is no number: %v", name, object[name])
		}
		i, err := n.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return int(i)
	}
	schema := all[number("class_uid")]
	if schema == nil {
		t.Fatalf("class %d has no schema", number("class_uid"))
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("not as the schema says: %v\n%s", err, event)
	}
	if want := number("class_uid")*100 + number("activity_id"); number("type_uid") != want {
		t.Errorf("type_uid %d, want %d", number("type_uid"), want)
	}
	metadata, ok := object["metadata"].(map[string]any)
	if !ok || metadata["uid"] != r.Position.ID() {
		t.Errorf("metadata.uid %v, want %q", metadata["uid"], r.Position.ID())
	}
	return object
}

// TestGolden compares the events of all documented records with golden files
// and with the schemas.
func TestGolden(t *testing.T) {
	all := schemas(t)
	for name, r := range goldenRecords(t) {
		t.Run(name, func(t *testing.T) {
			got, err := ocsf.Encoder("v0.1.0")(nil, r)
			if err != nil {
				t.Fatal(err)
			}
			check(t, all, r, got)
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, got, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
				t.Errorf("-want, +got:\n%s", diff)
			}
		})
	}
}

// TestTypesAreMapped: a type that was added to the records without a thought
// for OCSF stands out here.
func TestTypesAreMapped(t *testing.T) {
	generic := map[string]bool{"RecordingChunk": true, "RecordingEnd": true}
	for name, r := range goldenRecords(t) {
		got, err := ocsf.Encode(nil, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if base := bytes.Contains(got, []byte(`"class_uid":0,`)); base != generic[name] {
			t.Errorf("%s: Base Event: %t, want %t: give the type a class and docs/ocsf.md a line", name, base, generic[name])
		}
	}
}

type summary struct {
	Class, Activity, Status, Severity int
	Action, Disposition               int
	User, Correlation                 string
}

func summarize(t *testing.T, event []byte) summary {
	t.Helper()
	var e struct {
		Class       int `json:"class_uid"`
		Activity    int `json:"activity_id"`
		Status      int `json:"status_id"`
		Severity    int `json:"severity_id"`
		Action      int `json:"action_id"`
		Disposition int `json:"disposition_id"`
		Actor       struct {
			User struct {
				Name string `json:"name"`
			} `json:"user"`
		} `json:"actor"`
		Metadata struct {
			Correlation string `json:"correlation_uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	return summary{e.Class, e.Activity, e.Status, e.Severity, e.Action, e.Disposition, e.Actor.User.Name, e.Metadata.Correlation}
}

func operation(protocol string, actions ...string) *record.Operation {
	op := &record.Operation{Protocol: protocol, Kind: "KIND", Statement: "statement"}
	for _, a := range actions {
		op.Accesses = append(op.Accesses, policy.Access{Action: a, Resource: "thing"})
	}
	return op
}

func TestMapping(t *testing.T) {
	all := schemas(t)
	alice := &identity.Principal{UserName: "alice", Subject: "1", Issuer: "https://idp.example.com", Kind: identity.Human, Method: "saml"}
	allow, deny := &record.Decision{Effect: policy.Allow}, &record.Decision{Effect: policy.Deny, Message: "no rule allows it"}
	decided := func(op *record.Operation, d *record.Decision) record.Event {
		return record.Event{Type: record.OperationDecided, Session: "s", Actor: alice, ClientAddress: "[2001:db8::1]:5", OperationID: 7, Operation: op, Decision: d}
	}
	result := func(r record.Result) record.Event {
		return record.Event{Type: record.OperationResult, Session: "s", OperationID: 7, Result: &r}
	}
	for name, c := range map[string]struct {
		reason string
		event  record.Event
		want   summary
	}{
		"Allowed": {
			"what came of an operation is not known when it is let through",
			decided(operation("postgres", "transaction", "select"), allow),
			summary{6005, 4, 99, 1, 1, 1, "alice", "s/7"},
		},
		"Denied": {
			"a denial is a failure that somebody may want to look at",
			decided(operation("mysql", "insert"), deny),
			summary{6005, 5, 2, 3, 2, 2, "alice", "s/7"},
		},
		"Strongest": {
			"what changes more hides what changes less",
			decided(operation("postgres", "select", "drop", "insert"), allow),
			summary{6005, 7, 99, 1, 1, 1, "alice", "s/7"},
		},
		"ApprovedBefore": {
			"an operation that needs approval is decided when it has it",
			decided(operation("postgres", "update"), &record.Decision{Effect: policy.RequireApproval}),
			summary{6005, 2, 99, 1, 1, 8, "alice", "s/7"},
		},
		"NoWordForIt": {
			"an action that OCSF does not know is Other",
			decided(operation("postgres", "listen"), allow),
			summary{6005, 99, 99, 1, 1, 1, "alice", "s/7"},
		},
		"API": {
			"what is no database is an API; methods are actions in any case of letters",
			decided(operation("http", "POST"), allow),
			summary{6003, 1, 99, 1, 1, 1, "alice", "s/7"},
		},
		"Command": {
			"a command is Other",
			decided(operation("ssh", "exec"), deny),
			summary{6003, 99, 2, 3, 2, 2, "alice", "s/7"},
		},
		"NoDecision": {
			"a record without its decision claims nothing",
			decided(operation("postgres"), nil),
			summary{6005, 99, 0, 1, 0, 0, "alice", "s/7"},
		},
		"Bare": {
			"a record of which only the type is set is still an event",
			record.Event{Type: record.OperationDecided},
			summary{6003, 99, 0, 1, 0, 0, "Unknown", ""},
		},
		"Held": {
			"the proxy has created an ApprovalRequest",
			record.Event{
				Type: record.OperationHeld, Session: "s", Actor: alice, OperationID: 7, Operation: operation("postgres", "delete"),
				Decision: &record.Decision{Effect: policy.RequireApproval}, Approval: &record.Approval{Request: "ask", UID: "u"},
			},
			summary{6003, 1, 1, 2, 99, 14, "alice", "s/7"},
		},
		"Failed":        {"the target's failure", result(record.Result{Outcome: "Failed", ErrorCode: "42P01"}), summary{6003, 99, 2, 1, 0, 0, "", "s/7"}},
		"Canceled":      {"neither success nor failure", result(record.Result{Outcome: "Canceled"}), summary{6003, 99, 99, 1, 0, 0, "", "s/7"}},
		"UnknownResult": {"recovery does not know", result(record.Result{Outcome: "Unknown"}), summary{6003, 99, 0, 1, 0, 0, "", "s/7"}},
		"NoResult":      {"a record without its result claims nothing", record.Event{Type: record.OperationResult}, summary{6003, 99, 0, 1, 0, 0, "Unknown", ""}},
		"SessionRefused": {
			"proven, and turned away",
			record.Event{Type: record.SessionRefused, Actor: alice, ClientAddress: "not an address", Decision: deny},
			summary{3002, 1, 2, 3, 2, 2, "alice", ""},
		},
		"EndedByAdvice": {
			"somebody should look, and nothing was blocked",
			record.Event{Type: record.SessionEnd, Actor: alice, ReasonCode: record.EndAdvisory, Decision: deny},
			summary{3002, 2, 1, 3, 0, 0, "alice", ""},
		},
		"Foreign login": {
			"who has the stored credential's role and came by no proxy is a finding for certain",
			record.Event{Type: record.ForeignLogin, ClientAddress: "192.0.2.66:40022", Attributes: []record.Attribute{{Name: "ownRole", Value: "true"}}},
			summary{2004, 1, 1, 4, 0, 0, "", ""},
		},
		"Shared credential":     {"for somebody to look at soon", record.Event{Type: record.SharedCredential, Actor: alice}, summary{2004, 1, 1, 3, 0, 0, "", ""}},
		"Login of another role": {"for somebody to look at", record.Event{Type: record.ForeignLogin}, summary{2004, 1, 1, 1, 0, 0, "", ""}},
		"NobodyProven":          {"the class requires a user", record.Event{Type: record.AuthenticationFailed, Reason: "expired"}, summary{3002, 1, 2, 3, 2, 2, "", ""}},
		"TypeOfALaterTime":      {"an unknown type is a Base Event", record.Event{Type: "Teleported", Session: "s", Reason: "why not"}, summary{0, 99, 0, 0, 0, 0, "", ""}},
		"TypeWithDecision":      {"whatever an unknown type holds", record.Event{Type: "Teleported", Decision: deny, Actor: alice}, summary{0, 99, 0, 0, 0, 0, "", ""}},
		"WithoutType":           {"not even a type", record.Event{}, summary{0, 99, 0, 0, 0, 0, "", ""}},
		"ActorWithoutNames":     {"the class requires a name", record.Event{Type: record.SessionStart, Actor: &identity.Principal{Kind: "Robot"}}, summary{3002, 1, 1, 1, 1, 1, "Unknown", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c.event.Time = time.Unix(1700000000, 123456789)
			p := record.Position{LogID: "abc", Index: 3}
			r := record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &c.event)}
			got, err := ocsf.Encode([]byte{}, r)
			if err != nil {
				t.Fatal(err)
			}
			check(t, all, r, got)
			if diff := cmp.Diff(c.want, summarize(t, got)); diff != "" {
				t.Errorf("%s: -want, +got:\n%s\n%s", c.reason, diff, got)
			}
		})
	}
}

// TestAppends: an Encoder appends, and what was there stays.
func TestAppends(t *testing.T) {
	r := goldenRecords(t)["SessionStart"]
	alone, err := ocsf.Encode(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	both, err := ocsf.Encode([]byte("before "), r)
	if err != nil || string(both) != "before "+string(alone) {
		t.Errorf("Encode: %v: %s", err, both)
	}
}

// TestHoldsAnyRecord: whatever characters a record holds, its bytes come back.
func TestHoldsAnyRecord(t *testing.T) {
	for name, text := range map[string]string{
		"Control": "\x00\x1b[2K\r\n\t\x7f", "Bidi": "\u202e\u2066", "LineSeparators": "\u2028\u2029", "HTML": "<a href='&'>", "NotUTF8": "\xff\xfe",
		"Backslashes": `\u{1b} \\ \" \u2028`, "Beyond": "\U0001F600\U000E0041",
	} {
		p := record.Position{LogID: "abc", Index: 3}
		r := record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &record.Event{Type: record.SessionEnd, Reason: text})}
		event, err := ocsf.Encode(nil, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if raw, err := ocsf.Raw(event); err != nil || !bytes.Equal(raw, r.JSON) {
			t.Errorf("%s: %v: got\n%s\nwant\n%s", name, err, raw, r.JSON)
		}
	}
}

func TestRefuses(t *testing.T) {
	good := string(goldenRecords(t)["ProxyStop"].JSON)
	for name, data := range map[string]string{
		"Empty": "", "NoJSON": "hello", "OtherSchema": strings.Replace(good, "record/v1", "record/v2", 1), "Cut": good[:len(good)-1],
		"NotUTF8": strings.Replace(good, "terminated", "\xff", 1),
	} {
		if got, err := ocsf.Encode(nil, record.Record{JSON: []byte(data)}); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: Encode: %v: %s", name, err, got)
		}
	}
	for name, data := range map[string]string{
		"Empty": "", "NoJSON": "hello", "NoRecord": `{"class_uid":0}`, "Null": `{"raw_data":null}`, "Number": `{"raw_data":1}`, "Foreign": `{"raw_data":"hello"}`,
	} {
		if got, err := ocsf.Raw([]byte(data)); !errors.Is(err, ocsf.ErrNoRecord) {
			t.Errorf("%s: Raw: %v: %s", name, err, got)
		}
	}
}

// FuzzRaw: an event whose record was found gives the same record when that is
// encoded again.
func FuzzRaw(f *testing.F) {
	f.Add([]byte(`{"raw_data":"{\"schema\":\"doorward.dev/record/v1\",\"log\":\"a\",\"index\":0,\"time\":\"2026-03-04T04:06:07.000000080Z\",\"type\":\"X\"}"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := ocsf.Raw(data)
		if err != nil {
			return
		}
		event, err := ocsf.Encode(nil, record.Record{JSON: raw})
		if err != nil {
			return
		}
		if again, err := ocsf.Raw(event); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("Raw: %v: %q, want %q", err, again, raw)
		}
	})
}
