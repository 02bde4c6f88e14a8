// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// testResult is what came of one case.
type testResult struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Passed bool   `json:"passed"`
	// Error says why the case could not be asked.
	Error string      `json:"error,omitempty"`
	Diff  []differing `json:"diff,omitempty"`
}

// differing is one thing that is not as expected.
type differing struct {
	Field string   `json:"field"`
	Line  int      `json:"line"`
	Want  []string `json:"want"`
	Got   []string `json:"got"`
}

// testReport is everything that a run has shown.
type testReport struct {
	Policies int             `json:"policies"`
	Refused  []refusedPolicy `json:"refused,omitempty"`
	Results  []testResult    `json:"results"`
	Notes    []string        `json:"notes,omitempty"`
}

func (r *testReport) failed() int {
	count := 0
	for i := range r.Results {
		if !r.Results[i].Passed {
			count++
		}
	}
	return count
}

// runTests judges every policy, and asks every case.
func runTests(ctx context.Context, all *objects, deps *Dependencies) (*testReport, error) {
	report := &testReport{Policies: len(all.policies) + len(all.clusterPolicies), Results: []testResult{}}
	report.Refused = all.judgeAll(ctx, deps)
	run := &testRun{objects: all, deps: deps, compiled: map[string]*compiled{}}
	for i := range all.cases {
		f := &all.cases[i]
		for j := range f.Cases {
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			report.Results = append(report.Results, run.one(ctx, f, j))
		}
	}
	return report, nil
}

// testRun keeps what is compiled between cases.
type testRun struct {
	objects  *objects
	deps     *Dependencies
	compiled map[string]*compiled
}

func (r *testRun) one(ctx context.Context, f *testFile, i int) testResult {
	c := &f.Cases[i]
	where := f.document.at("cases", i)
	result := testResult{Name: c.Name, File: where.File, Line: where.Line}
	got, err := r.ask(ctx, f, c)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	expect := func(field string, want, got []string) {
		if !slices.Equal(want, got) {
			place := f.document.at("cases", i, "expect", field)
			result.Diff = append(result.Diff, differing{Field: field, Line: place.Line, Want: want, Got: got})
		}
	}
	expect("effect", []string{string(c.Expect.Effect)}, []string{string(got.effect)})
	if c.Expect.Rules != nil {
		expect("rules", sortedOnce(*c.Expect.Rules), got.rules)
	}
	if c.Expect.Masks != nil {
		expect("masks", sortedOnce(*c.Expect.Masks), got.masks)
	}
	if c.Expect.Message != nil {
		expect("message", []string{*c.Expect.Message}, []string{got.message})
	}
	if c.Expect.TargetRole != nil {
		expect("targetRole", []string{*c.Expect.TargetRole}, []string{got.targetRole})
	}
	if c.Expect.Approvals != nil {
		expect("approvals", sortedOnce(*c.Expect.Approvals), got.approvals)
	}
	if c.Expect.Audit != "" {
		expect("audit", []string{string(c.Expect.Audit)}, []string{string(got.audit)})
	}
	result.Passed = len(result.Diff) == 0
	return result
}

// came is what a case came to.
type came struct {
	effect, audit       policy.Effect
	rules, masks        []string
	approvals           []string
	message, targetRole string
}

func (r *testRun) ask(ctx context.Context, f *testFile, c *testCase) (*came, error) {
	at, err := circumstances(c.At, c.From)
	if err != nil {
		return nil, err
	}
	at.SharedCredential = c.SharedCredential
	compiled, err := r.compile(ctx, f, c)
	if err != nil {
		return nil, err
	}
	who := f.Callers[c.Caller]
	principal, err := who.principal(compiled.snapshot.IdentityProviders)
	if err != nil {
		return nil, fmt.Errorf("caller %q: %w", c.Caller, err)
	}
	questions := []question{{caller: principal, at: at}}
	if !c.Connect {
		statements, err := c.read(compiled, r.deps)
		if err != nil {
			return nil, err
		}
		questions = questions[:0]
		for i := range statements {
			questions = append(questions, question{caller: principal, at: at, operation: &statements[i].Operation})
		}
	}
	out := &came{}
	for _, q := range questions {
		o, err := ask(ctx, compiled.engine, q)
		if err != nil {
			return nil, fmt.Errorf("the engine gives no answer, so it is refused: %w", err)
		}
		if c.At == "" && !o.standing.Until().IsZero() {
			return nil, errors.New("a policy with a schedule is about this caller, so the answer depends on the time: say it in at")
		}
		out.add(&o)
	}
	out.rules, out.approvals = sortedOnce(out.rules), sortedOnce(out.approvals)
	return out, nil
}

// compile compiles each Connection once.
func (r *testRun) compile(ctx context.Context, f *testFile, c *testCase) (*compiled, error) {
	namespace, name, ok := strings.Cut(c.Connection, "/")
	if !ok {
		namespace, name = f.Namespace, c.Connection
	}
	connection, err := r.objects.find(namespace, name)
	if err != nil {
		return nil, err
	}
	key := connection.Namespace + "/" + connection.Name
	if r.compiled[key] == nil {
		if r.compiled[key], err = r.objects.compile(ctx, connection, r.deps); err != nil {
			delete(r.compiled, key)
			return nil, err
		}
	}
	return r.compiled[key], nil
}

// add takes in what one of several statements came to: the strictest counts.
func (c *came) add(o *outcome) {
	d := &o.decision
	audit := d.Effect
	if d.Audit != nil {
		audit = d.Audit.Effect
	}
	if strictness[audit] > strictness[c.audit] {
		c.audit = audit
	}
	c.masks = []string{}
	for _, m := range o.standing.Masks() {
		c.masks = append(c.masks, m.Policy+"/"+m.Name)
	}
	c.masks = sortedOnce(c.masks)
	if o.conflict == nil {
		c.targetRole, _ = o.standing.TargetRole()
	}
	if strictness[d.Effect] < strictness[c.effect] {
		return
	}
	if strictness[d.Effect] > strictness[c.effect] {
		c.rules, c.approvals, c.message = nil, nil, d.Message
	}
	c.effect = d.Effect
	for _, ref := range d.Rules {
		c.rules = append(c.rules, nameOf(ref))
	}
	c.approvals = append(c.approvals, scopesOf(d)...)
}

// scopeOperation is the word for an approval of one operation.
const scopeOperation = "Operation"

// scopesOf are the scopes of the approvals that a decision asks for, sorted.
func scopesOf(d *policy.Decision) []string {
	var scopes []string
	if d.Effect == policy.RequireApproval {
		for i := range d.Approval {
			scopes = append(scopes, cmp.Or(d.Approval[i].Scope, scopeOperation))
		}
	}
	return sortedOnce(scopes)
}

var strictness = map[policy.Effect]int{"": 0, policy.Allow: 1, policy.RequireApproval: 2, policy.Deny: 3}

// sortedOnce is a list without order and duplicates; never nil.
func sortedOnce(list []string) []string {
	out := slices.Compact(slices.Sorted(slices.Values(list)))
	if out == nil {
		out = []string{}
	}
	return out
}
