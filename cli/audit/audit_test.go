// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	doorwardv1alpha1 "github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
	"github.com/doorward/doorward/proxy/record/spool"
)

// shot is a log with two sessions, one of them with a recording, and what the
// witness holds of it.
type shot struct {
	dir     string
	witness doorwardv1alpha1.AuditLog
	// played is what was recorded.
	played string
}

func take(tb testing.TB) shot {
	tb.Helper()
	ctx := tb.Context()
	s := shot{dir: filepath.Join(tb.TempDir(), "log")}
	log, err := spool.Open(ctx, spool.Options{Dir: s.dir})
	if err != nil {
		tb.Fatal(err)
	}
	connection := record.Connection{Namespace: "payments", Name: "orders"}
	alice := &identity.Principal{UserName: "alice@example.com", Subject: "00u1", Kind: identity.Human}
	carol := &identity.Principal{UserName: "carol@example.com", Subject: "00u2", Kind: identity.Human}
	add := func(e record.Event) {
		tb.Helper()
		e.Connection = connection
		if _, err := log.Append(ctx, e); err != nil {
			tb.Fatal(err)
		}
	}
	operation := func(n uint64, statement string, effect policy.Effect, actor *identity.Principal, session string) {
		tb.Helper()
		decision := &record.Decision{Effect: effect, Rules: []policy.RuleRef{{Policy: "read", Rule: "select"}}}
		if effect == policy.Allow {
			decision.Audit = &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{{Policy: "later", Rule: "closed"}}}
		}
		add(record.Event{
			Type: record.OperationDecided, Session: session, OperationID: n, Actor: actor,
			Operation: &record.Operation{Protocol: "postgres", Kind: "SELECT", Statement: statement}, Decision: decision,
		})
	}
	add(record.Event{Type: record.ProxyStart})
	add(record.Event{Type: record.SessionStart, Session: "s-1", Actor: alice})
	add(record.Event{Type: record.SessionStart, Session: "s-2", Actor: carol})
	operation(1, "SELECT 1\n\tFROM a", policy.Allow, alice, "s-1")
	operation(1, "=cmd|' /C calc'!A0", policy.Deny, carol, "s-2")
	add(record.Event{Type: record.OperationResult, Session: "s-1", OperationID: 1, Result: &record.Result{Outcome: "Succeeded", Rows: 3, Bytes: 40}})
	w, err := cast.NewWriter(cast.Options{ID: "shell-1", Start: time.Unix(1772600767, 0), Emit: func(r record.Recording) error {
		s.played += r.Data
		add(record.Event{Type: record.RecordingChunk, Session: "s-1", Recording: &r})
		return nil
	}})
	if err != nil {
		tb.Fatal(err)
	}
	for at := range 3 {
		if err := w.Output(time.Duration(at)*time.Second, []byte("\x1b[1mgrüß dich\xff\r\n")); err != nil {
			tb.Fatal(err)
		}
	}
	end, err := w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	add(record.Event{Type: record.RecordingEnd, Session: "s-1", Recording: &end})
	add(record.Event{Type: record.SessionEnd, Session: "s-1", Reason: "closed by the caller"})
	add(record.Event{Type: record.ProxyStop})
	if err := log.Finish(ctx); err != nil {
		tb.Fatal(err)
	}
	var last record.Document
	for r, err := range spool.Records(s.dir) {
		if err == nil {
			last, err = record.Decode(r.JSON)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	s.witness = doorwardv1alpha1.AuditLog{
		ObjectMeta: metav1.ObjectMeta{Name: log.ID(), Namespace: "payments"},
		Status:     doorwardv1alpha1.AuditLogStatus{Checkpoint: last.Checkpoint.Note, Keys: log.Keys().Texts(), State: doorwardv1alpha1.AuditLogClosed},
	}
	s.witness.SetGroupVersionKind(doorwardv1alpha1.GroupVersion.WithKind("AuditLog"))
	if err := log.Close(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// call runs the command.
func call(tb testing.TB, args ...string) (stdout, stderr string, err error) {
	tb.Helper()
	var out, errOut bytes.Buffer
	cmd := audit.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(tb.Context())
	return out.String(), errOut.String(), err
}

func TestVerify(t *testing.T) {
	s := take(t)
	one, err := yaml.Marshal(&s.witness)
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": []any{s.witness}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shortened := filepath.Join(t.TempDir(), "short.jsonl")
	lines, _, err := call(t, "show", s.dir, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.SplitAfter(lines, "\n")
	if err := os.WriteFile(shortened, []byte(strings.Join(all[:6], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	edited := file("edited.jsonl", []byte(strings.Replace(lines, "SELECT 1", "SELECT 2", 1)))
	cases := map[string]struct {
		reason string
		args   []string
		want   []string
		err    error
		fails  string
	}{
		"Whole":        {reason: "a whole log", args: []string{s.dir}, want: []string{": OK\n", "closed in order", "not excluded"}},
		"Note":         {reason: "a signed note", args: []string{s.dir, "--checkpoint", file("note", []byte(s.witness.Status.Checkpoint))}, want: []string{"agrees with the trusted checkpoint"}},
		"YAML":         {reason: "an AuditLog as kubectl prints it", args: []string{s.dir, "--checkpoint", file("one.yaml", one)}, want: []string{"agrees with"}},
		"List":         {reason: "a list", args: []string{s.dir, "--checkpoint", file("list.json", list)}, want: []string{"agrees with"}},
		"Edited":       {reason: "a changed record", args: []string{edited}, want: []string{": NOT OK\n", "Edited: record 3 is not what was signed", "edited.jsonl:4", "do: "}, err: audit.ErrTampered},
		"Truncated":    {reason: "the witness knows of more", args: []string{shortened, "--checkpoint", file("two.yaml", one)}, want: []string{"Truncated: the records 6 to "}, err: audit.ErrTampered},
		"Empty":        {reason: "no record is no success", args: []string{file("empty", nil)}, want: []string{"no record"}, err: audit.ErrUnreadable},
		"NoPath":       {reason: "usage", fails: "nothing to read"},
		"Absent":       {reason: "a path that is not there", args: []string{filepath.Join(dir, "none")}, err: fs.ErrNotExist},
		"BadOutput":    {reason: "usage", args: []string{s.dir, "-o", "xml"}, fails: "output format not known"},
		"BadWitness":   {reason: "a checkpoint that the witness did not sign", args: []string{s.dir, "--checkpoint", file("three.yaml", one), "--witness-key", "w+34a7b0d3+AQr9pWL5n2rKUCJ8M8Yl3H1Ir8b+8iuKz1QmEuYzU3Gc"}, fails: "witness key not usable"},
		"NotTrusted":   {reason: "a file that is no checkpoint", args: []string{s.dir, "--checkpoint", edited}, fails: "no signed note and holds no AuditLogs"},
		"NothingTrust": {reason: "a witness key without a checkpoint", args: []string{s.dir, "--require-all"}, fails: "no trusted checkpoint"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, _, err := call(t, append([]string{"verify"}, tc.args...)...)
			switch {
			case tc.fails != "":
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%s: %v, want %q", tc.reason, err, tc.fails)
				}
			case !errors.Is(err, tc.err):
				t.Errorf("%s: %v, want %v", tc.reason, err, tc.err)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("%s: no %q in\n%s", tc.reason, want, out)
				}
			}
		})
	}
	out, _, err := call(t, "verify", "-o", "json", edited)
	var report struct {
		OK   bool `json:"ok"`
		Logs []struct {
			Findings []struct {
				Verdict string `json:"verdict"`
				First   int64  `json:"first"`
				Line    int64  `json:"line"`
			} `json:"findings"`
		} `json:"logs"`
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil || !errors.Is(err, audit.ErrTampered) {
		t.Fatalf("%v, %v: %s", err, jsonErr, out)
	}
	if f := report.Logs[0].Findings; report.OK || len(f) != 1 || f[0].Verdict != "Edited" || f[0].First != 3 || f[0].Line != 4 {
		t.Errorf("JSON: %s", out)
	}
}

func TestShow(t *testing.T) {
	s := take(t)
	cases := map[string]struct {
		reason string
		args   []string
		// lines are what must stand in each line but the header.
		lines []string
	}{
		"Session": {"one session, in order", []string{"--session", "s-2"}, []string{"SessionStart", "OperationDecided"}},
		"Actor": {
			"also records of the caller's sessions that name no caller",
			[]string{"--actor", "Alice@example.com", "--type", "OperationDecided,OperationResult,SessionEnd"},
			[]string{"would be: Deny by later/closed SELECT 1 FROM a", "Succeeded", "closed by the caller"},
		},
		"Denied":     {"what was refused", []string{"--denied"}, []string{"carol@example.com"}},
		"DeniedNone": {"nothing of this caller was refused", []string{"--denied", "--actor", "alice@example.com"}, nil},
		"Type":       {"by type", []string{"--type", "SessionStart"}, []string{"alice@example.com", "carol@example.com"}},
		"Until":      {"before a time", []string{"--until", "2020-01-01T00:00:00Z"}, nil},
		"Since":      {"a while back", []string{"--since", "1h", "--type", "ProxyStart"}, []string{"ProxyStart"}},
		"Connection": {"by the Connection", []string{"--connection", "payments/other"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, _, err := call(t, append([]string{"show", s.dir}, tc.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")[1:]
			if len(lines) != len(tc.lines) {
				t.Fatalf("%s: %d lines, want %d:\n%s", tc.reason, len(lines), len(tc.lines), out)
			}
			for i, want := range tc.lines {
				if !strings.Contains(lines[i], want) {
					t.Errorf("%s: no %q in %q", tc.reason, want, lines[i])
				}
			}
		})
	}
}

// TestShowIsSafe: checklist 48. A file that somebody made by hand draws nothing
// on the terminal.
func TestShowIsSafe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	line := `{"schema":"doorward.dev/record/v1","log":"x","index":0,"previous":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","time":"2026-03-04T05:06:07.000000000Z","type":"SessionEnd","session":"\u001b[2J\u202es","reason":"a\nb` + "\u009b" + `"}`
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := call(t, "show", path)
	if err != nil || strings.ContainsAny(out, "\x1b\u202e\u009b") || strings.Count(out, "\n") != 2 || !strings.Contains(out, `\u{1b}[2J\u{202e}s`) {
		t.Errorf("%v: %q", err, out)
	}
}

func TestExport(t *testing.T) {
	s := take(t)
	out, _, err := call(t, "export", s.dir, "--session", "s-1", "--format", "asciicast")
	if err != nil || out != s.played {
		t.Errorf("recording: %v:\n%s\nwant\n%s", err, out, s.played)
	}
	out, _, err = call(t, "export", s.dir, "--session", "s-2", "--format", "csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%v: %q", err, rows)
	}
	statement := rows[2][slices.Index(rows[0], "statement")]
	if statement != "'=cmd|' /C calc'!A0" {
		t.Errorf("a formula for the spreadsheet: %q", statement)
	}
	out, _, err = call(t, "export", s.dir, "--session", "s-1")
	if err != nil || strings.Count(out, "\n") != 7 {
		t.Errorf("%v: %s", err, out)
	}
	if _, _, err = call(t, "export", s.dir, "--session", "s-2", "--format", "asciicast"); err == nil || !strings.Contains(err.Error(), "no recording found") {
		t.Errorf("a session without recording: %v", err)
	}
	// A part that was changed is not exported.
	lines, _, err := call(t, "show", s.dir, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "changed.jsonl")
	if err := os.WriteFile(path, []byte(strings.Replace(lines, "dich", "mich", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err = call(t, "export", path, "--session", "s-1", "--format", "asciicast"); !errors.Is(err, cast.ErrDamaged) || out != "" {
		t.Errorf("a changed recording: %v: %q", err, out)
	}
}

// TestCluster: what the witness holds comes through the kubeconfig, and an
// export of it verifies without the cluster.
func TestCluster(t *testing.T) {
	s := take(t)
	api := http.NewServeMux()
	answer := func(path string, object any) {
		api.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(object); err != nil {
				t.Error(err)
			}
		})
	}
	version := metav1.GroupVersionForDiscovery{GroupVersion: "doorward.dev/v1alpha1", Version: "v1alpha1"}
	answer("/api", metav1.APIVersions{})
	answer("/apis", metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: "doorward.dev", Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}}})
	answer("/apis/doorward.dev/v1alpha1", metav1.APIResourceList{GroupVersion: "doorward.dev/v1alpha1", APIResources: []metav1.APIResource{
		{Name: "auditlogs", SingularName: "auditlog", Kind: "AuditLog", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}},
	}})
	list := doorwardv1alpha1.AuditLogList{Items: []doorwardv1alpha1.AuditLog{s.witness}}
	list.SetGroupVersionKind(doorwardv1alpha1.GroupVersion.WithKind("AuditLogList"))
	answer("/apis/doorward.dev/v1alpha1/namespaces/payments/auditlogs", list)
	answer("/apis/doorward.dev/v1alpha1/auditlogs", list)
	empty := list
	empty.Items = nil
	answer("/apis/doorward.dev/v1alpha1/namespaces/other/auditlogs", empty)
	server := httptest.NewServer(api)
	defer server.Close()
	cluster := []string{"--server", server.URL, "--cache-dir", t.TempDir()}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))

	out, _, err := call(t, append([]string{"verify", s.dir, "--witness", "--require-all", "-n", "payments"}, cluster...)...)
	if err != nil || !strings.Contains(out, "agrees with the trusted checkpoint") {
		t.Errorf("%v: %s", err, out)
	}
	if _, _, err = call(t, append([]string{"verify", s.dir, "--witness", "-n", "other"}, cluster...)...); err == nil || !strings.Contains(err.Error(), "no trusted checkpoint") {
		t.Errorf("a namespace without AuditLogs: %v", err)
	}
	for _, format := range []string{"yaml", "json"} {
		out, _, err = call(t, append([]string{"checkpoints", "-A", "-o", format}, cluster...)...)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "witness")
		if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _, err = call(t, "verify", s.dir, "--checkpoint", path); err != nil || !strings.Contains(out, "agrees with") {
			t.Errorf("%s: %v: %s", format, err, out)
		}
	}
}
