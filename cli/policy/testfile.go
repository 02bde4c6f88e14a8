// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/policy"
)

// testVersion is the form of tests. No API server serves it: tests are for files.
var testVersion = schema.GroupVersion{Group: "test.doorward.dev", Version: "v1alpha1"}

// testKind is the kind of a file of tests.
const testKind = "PolicyTest"

// policyTest is a document of tests.
type policyTest struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Name string `json:"name"`
	} `json:"metadata,omitempty"`
	// Namespace is that of the Connections; only needed where names are not unique.
	Namespace string `json:"namespace,omitempty"`
	// Callers are whom the cases are about, by names of the tests' own.
	Callers map[string]caller `json:"callers"`
	Cases   []testCase        `json:"cases"`
}

// testCase is one decision, and what is expected of it.
type testCase struct {
	Name       string `json:"name"`
	Caller     string `json:"caller"`
	Connection string `json:"connection"`
	// Connect asks about the session alone; otherwise there is an operation.
	Connect bool `json:"connect,omitempty"`
	operation
	At   string `json:"at,omitempty"`
	From string `json:"from,omitempty"`
	// SharedCredential says that the caller's credential was found shared.
	SharedCredential bool        `json:"sharedCredential,omitempty"`
	Expect           expectation `json:"expect"`
}

// expectation is what must come out. What is left out is not looked at, but for the effect.
type expectation struct {
	// Effect is Allow, RequireApproval or Deny. Of several statements it is the strictest.
	Effect policy.Effect `json:"effect"`
	// Rules are all that decide, as policy/rule; none is the refusal of what no rule
	// allows.
	Rules *[]string `json:"rules,omitempty"`
	// Masks are all in force, as policy/mask.
	Masks *[]string `json:"masks,omitempty"`
	// Message is what the caller is told.
	Message    *string `json:"message,omitempty"`
	TargetRole *string `json:"targetRole,omitempty"`
	// Approvals are the scopes of all approvals that are needed: Operation, Session.
	Approvals *[]string `json:"approvals,omitempty"`
	// Audit is the effect if policies in mode Audit were enforced.
	Audit policy.Effect `json:"audit,omitempty"`
}

// testFile is a document of tests with its place.
type testFile struct {
	policyTest
	document *document
}

// tests reads a document of tests.
func (l *loader) tests(d *document, kind string) {
	if kind != testKind {
		l.fail(&fault{d.at("kind"), fmt.Errorf("no kind of %s is named %q: %s", testVersion, kind, testKind)})
		return
	}
	f := testFile{document: d}
	if faults := d.decode(&f.policyTest); len(faults) > 0 {
		l.fail(faults...)
		return
	}
	faults := f.check()
	if len(faults) > 0 {
		l.fail(faults...)
		return
	}
	l.into.cases = append(l.into.cases, f)
}

// check finds what is missing or contradicts itself.
func (f *testFile) check() []error {
	var faults []error
	fail := func(err error, path ...any) { faults = append(faults, &fault{f.document.at(path...), err}) }
	if len(f.Cases) == 0 {
		fail(errors.New("a PolicyTest without cases"), "cases")
	}
	seen := map[string]bool{}
	for i := range f.Cases {
		c := &f.Cases[i]
		at := func(path ...any) []any { return append([]any{"cases", i}, path...) }
		if c.Name == "" || seen[c.Name] {
			fail(fmt.Errorf("a case needs a name that no other has: %q", c.Name), at("name")...)
		}
		seen[c.Name] = true
		if _, known := f.Callers[c.Caller]; !known {
			names := slices.Sorted(maps.Keys(f.Callers))
			fail(fmt.Errorf("no caller is named %q%s: callers has %s", c.Caller, suggestion(c.Caller, names), strings.Join(names, ", ")), at("caller")...)
		}
		if c.Connection == "" {
			fail(errors.New("no connection: name the Connection that the case is about"), at()...)
		}
		if c.Connect != c.operation.empty() {
			fail(errors.New("a case has an operation (accesses or statement), or connect: true, and not both"), at()...)
		}
		if !effects[c.Expect.Effect] {
			fail(fmt.Errorf("expect.effect is one of Allow, RequireApproval, Deny: %q", c.Expect.Effect), at("expect", "effect")...)
		}
		if c.Expect.Approvals != nil {
			for j, scope := range *c.Expect.Approvals {
				if scope != scopeOperation && scope != policy.ScopeSession {
					fail(fmt.Errorf("expect.approvals has the scopes %s and %s: %q", scopeOperation, policy.ScopeSession, scope), at("expect", "approvals", j)...)
				}
			}
		}
		if c.Expect.Audit != "" && !effects[c.Expect.Audit] {
			fail(fmt.Errorf("expect.audit is one of Allow, RequireApproval, Deny: %q", c.Expect.Audit), at("expect", "audit")...)
		}
	}
	return faults
}

var effects = map[policy.Effect]bool{policy.Allow: true, policy.RequireApproval: true, policy.Deny: true}

func suggestion(written string, names []string) string {
	if near := compile.Nearest(written, names); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}
