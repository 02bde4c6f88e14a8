// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	clipolicy "github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/protocol/ssh"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shop is a folder with policies and their tests.
const shop = "testdata/shop"

func parts() *clipolicy.Dependencies {
	known := []protocol.Protocol{postgres.New(), ssh.New()}
	d := &clipolicy.Dependencies{
		Protocols: compile.Protocols{}, Engine: rego.NewEngine, CheckModule: rego.CheckModule,
		Statements: map[string]func(string) ([]clipolicy.Statement, error){},
	}
	for _, p := range known {
		d.Protocols[p.Name()] = p
		d.Statements[p.Name()] = func(text string) ([]clipolicy.Statement, error) {
			readings, err := p.(protocol.StatementReader).ReadStatements(text)
			var all []clipolicy.Statement
			for _, r := range readings {
				all = append(all, clipolicy.Statement{Operation: r.Operation, Assumed: r.Assumed})
			}
			return all, err
		}
	}
	return d
}

// call runs the command and returns what it prints.
func call(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := clipolicy.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, parts())
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// golden holds an output against its file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got, -update writes it anew\n%s", path, diff)
	}
}

func TestExplain(t *testing.T) {
	noon, night := "2026-11-28T12:00:00Z", "2026-11-27T23:00:00Z"
	base := []string{"explain", "-f", shop, "--provider", "company", "-c", "orders-db"}
	cases := map[string]struct {
		reason string
		args   []string
		want   error
	}{
		"denied":        {"a rule refuses, and a property is why", []string{"--as", "alice", "--group", "analysts", "--at", noon, "--property", "unboundedWrite", "delete public.orders"}, clipolicy.ErrDenied},
		"default":       {"no rule is about it, but one of another policy would be; an exemption is named", []string{"--as", "alice", "--group", "analysts", "--group", "support", "--at", noon, "select public.orders", "insert public.orders"}, clipolicy.ErrDenied},
		"missing":       {"no rule of any policy is about it", []string{"--as", "alice", "--group", "analysts", "--at", noon, "create private.notes"}, clipolicy.ErrDenied},
		"cluster":       {"a ClusterAccessPolicy refuses; schedule and source keep another policy from applying", []string{"--as", "bob", "--group", "oncall", "--from", "192.168.1.1", "--at", noon, "--statement", "TRUNCATE public.orders"}, clipolicy.ErrDenied},
		"session":       {"a misspelt group is not let in", []string{"--as", "bob", "--group", "analyst", "--at", noon}, clipolicy.ErrDenied},
		"provider":      {"proven by another provider", []string{"--as", "ci:build", "--group", "analysts", "--provider", "ci", "--kind", "Workload", "--at", noon, "select public.orders"}, clipolicy.ErrDenied},
		"delegation":    {"who acts for another has what restricts, and not what allows", []string{"--as", "alice", "--group", "analysts", "--actor", "bot", "--kind", "Agent", "--at", noon, "select public.orders"}, clipolicy.ErrDenied},
		"approval":      {"an approval is asked for", []string{"--as", "alice", "--group", "analysts", "--group", "oncall", "--at", night, "--from", "10.1.1.1", "update public.orders"}, clipolicy.ErrApprovalRequired},
		"address":       {"an unknown address restricts only", []string{"--as", "bob", "--group", "oncall", "--at", night, "select public.orders"}, clipolicy.ErrDenied},
		"audit":         {"a policy in mode Audit would refuse", []string{"--as", "alice", "--group", "analysts", "--at", noon, "--statement", "COPY public.orders TO STDOUT"}, nil},
		"allowed.json":  {"the same for programs", []string{"-o", "json", "--as", "alice", "--group", "analysts", "--at", noon, "select public.orders"}, nil},
		"readable.yaml": {"and as YAML", []string{"-o", "yaml", "--as", "alice", "--group", "analysts", "--at", noon, "select public.orders"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := call(t, append(base, tc.args...)...)
			if !errors.Is(err, tc.want) || (err != nil) != (tc.want != nil) {
				t.Fatalf("%s: %v, want %v", tc.reason, err, tc.want)
			}
			golden(t, "explain-"+name, out)
		})
	}
}

func TestExplainRefuses(t *testing.T) {
	base := []string{"explain", "-f", shop, "--as", "alice"}
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"NoConnection": {"there must be one", []string{"--provider", "company"}, "no Connection given"},
		"Connection":   {"a misspelt name gets the nearest", []string{"-c", "orders-bd"}, "did you mean \"orders-db\"?"},
		"NoProvider":   {"there are two", []string{"-c", "orders-db"}, "one of ci, company"},
		"Provider":     {"a misspelt name gets the nearest", []string{"-c", "orders-db", "--provider", "compny"}, "did you mean \"company\"?"},
		"Kind":         {"a kind that is none", []string{"-c", "orders-db", "--provider", "company", "--kind", "Robot"}, "one of Human, Workload, Agent"},
		"Action":       {"a word of no protocol", []string{"-c", "orders-db", "--provider", "company", "slect public.orders"}, "did you mean \"select\"?"},
		"Resource":     {"the shape of a resource, and where a statement goes", []string{"-c", "orders-db", "--provider", "company", "slect public.orders"}, "where RESOURCE is schema.relation, or kind:name for other objects; what a caller would write goes behind --statement"},
		"Property":     {"a property that is none", []string{"-c", "orders-db", "--provider", "company", "select public.orders", "--property", "unboundedWrit"}, "did you mean \"unboundedWrite\"?"},
		"Unqualified":  {"a name that only the catalog resolves is not guessed", []string{"-c", "orders-db", "--provider", "company", "--statement", "DELETE FROM orders"}, "write it with its schema"},
		"Both":         {"a statement says itself what it does", []string{"-c", "orders-db", "--provider", "company", "--statement", "BEGIN", "select x.y"}, "leave out accesses"},
		"Time":         {"a time without zone is none", []string{"-c", "orders-db", "--at", "2026-11-28"}, "RFC 3339"},
		"Address":      {"a name is no address", []string{"-c", "orders-db", "--from", "localhost"}, "IPv4 or IPv6"},
		"Claim":        {"a claim has a value", []string{"-c", "orders-db", "--claim", "repo"}, "name=value"},
		"Output":       {"a format that is none", []string{"-c", "orders-db", "-o", "xml"}, "one of (json, yaml)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := call(t, append(base, tc.args...)...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"Connection": {[]string{"-c", "ord"}, "orders-db\n"},
		"Provider":   {[]string{"--provider", ""}, "company\nci\n"},
		"Action":     {[]string{"-c", "orders-db", "trunc"}, "truncate\n"},
		"Property":   {[]string{"-c", "orders-db", "--property", "unbounded"}, "unboundedWrite\n"},
		"Kind":       {[]string{"--kind", ""}, "Human\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := call(t, append([]string{"__complete", "explain", "-f", shop}, tc.args...)...)
			if err != nil || !strings.HasPrefix(out, tc.want) {
				t.Errorf("%v: %q, want %q", err, out, tc.want)
			}
		})
	}
}
