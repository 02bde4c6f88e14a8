// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

func masking(masks ...policy.Mask) policy.Policy {
	p := of("p", rule("ok", policy.Allow, "select", "*"))
	p.Masks = masks
	return p
}

func strict(name string, fields ...string) policy.Mask {
	return policy.Mask{Name: name, Fields: fields, Method: policy.Method{Type: policy.Redact}}
}

func lenient(name string, fields ...string) policy.Mask {
	m := strict(name, fields...)
	m.Derived, m.Predicates = policy.MaskDerived, policy.AllowPredicates
	return m
}

func detecting(name string, detectors ...string) policy.Mask {
	return policy.Mask{Name: name, Detect: detectors, Method: policy.Method{Type: policy.Redact}}
}

// TestMasks: what would be masked is told by the fields on record, what was by the result.
func TestMasks(t *testing.T) {
	const email, phone, id = "public.customers.email", "public.customers.phone", "public.customers.id"
	cases := map[string]struct {
		reason string
		fields []string
		before []string
		// shown are the masked fields of the result; there is none where nil.
		shown  []string
		failed bool
		now    []policy.Mask
		want   []string
		gap    string
	}{
		"None":          {reason: "nothing was and is masked", fields: []string{email}},
		"Elsewhere":     {reason: "a mask is for other fields", fields: []string{id}, now: []policy.Mask{strict("mail", email)}},
		"New":           {reason: "a mask that refuses what it cannot mask", fields: []string{email, id}, now: []policy.Mask{strict("mail", "*.email")}, want: []string{"MaskedOrRefused " + email + " p/mail"}},
		"NewLenient":    {reason: "a mask that refuses nothing", fields: []string{email, id}, now: []policy.Mask{lenient("mail", "*.email")}, want: []string{"NewlyMasked " + email + " p/mail"}},
		"NewBoth":       {reason: "the stricter one counts", fields: []string{email}, now: []policy.Mask{lenient("mail", email), strict("more", email)}, want: []string{"MaskedOrRefused " + email + " p/mail, p/more"}},
		"WholeRelation": {reason: "the answer shows all columns, among them the masked one", fields: []string{"public.customers.*"}, now: []policy.Mask{lenient("mail", "*.email")}, want: []string{"NewlyMasked public.customers.* p/mail"}},
		"Stays":         {reason: "it was masked in the answer, and would be", fields: []string{email}, before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", email)}},
		"StaysWhole":    {reason: "so it was in one that shows all columns", fields: []string{"public.customers.*"}, before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", email)}},
		"Renamed":       {reason: "another mask does the same", fields: []string{email}, before: []string{"then/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", email)}},
		"Gone":          {reason: "nothing masks it any more", fields: []string{email}, before: []string{"p/mail"}, shown: []string{email}, want: []string{"NoLongerMasked " + email + " no mask is for it"}},
		"Narrowed":      {reason: "the mask is for less", fields: []string{email, phone}, before: []string{"p/mail"}, shown: []string{email, phone}, now: []policy.Mask{strict("mail", email)}, want: []string{"NoLongerMasked " + phone + " no mask is for it"}},
		"Widened":       {reason: "the mask is for more: what it would have refused was shown", fields: []string{email, phone}, before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", email, phone)}, want: []string{"MaskedOrRefused " + phone + " p/mail"}},
		"WidenedBehind": {reason: "a view may read more than it shows", fields: []string{email, "public.secret.phone"}, before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", email, "public.secret.*")}, gap: "MaskMayBeWider"},
		"Partition":     {reason: "it was masked by the name of its parent", fields: []string{email, "public.customers_1.email"}, before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", "public.*.email")}},
		"MaybeWidened":  {reason: "the field may have but chosen the rows", fields: []string{email, phone}, before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{lenient("mail", email, phone)}, gap: "MaskMayBeWider"},
		"Failed":        {reason: "an answer that did not come showed nothing", fields: []string{email}, before: []string{"p/mail"}, failed: true, now: []policy.Mask{strict("mail", email)}},
		"FailedNew":     {reason: "a mask that was not there is new all the same", fields: []string{email}, before: []string{"p/other"}, failed: true, now: []policy.Mask{strict("mail", email)}, want: []string{"MaskedOrRefused " + email + " p/mail"}},
		"NoResult":      {reason: "so without any result", fields: []string{email}, before: []string{"p/other"}, now: []policy.Mask{lenient("mail", email)}, want: []string{"NewlyMasked " + email + " p/mail"}},
		"Detect":        {reason: "a detector looks into everything", fields: []string{id}, now: []policy.Mask{detecting("found", "Email", "JWT")}, want: []string{"NewlyMasked content:Email,JWT p/found"}},
		"DetectStays":   {reason: "it found something, and would", fields: []string{id}, before: []string{"p/found"}, shown: []string{"content:Email"}, now: []policy.Mask{detecting("found", "Email")}},
		"DetectGone":    {reason: "what it found would be shown", fields: []string{id}, before: []string{"p/found"}, shown: []string{"content:Email"}, want: []string{"NoLongerMasked content:Email no mask is for it"}},
		"OldRecord":     {reason: "a record of an older version names no fields", before: []string{"p/mail"}, shown: []string{email}, now: []policy.Mask{strict("mail", email), strict("more", phone)}, gap: "FieldsNotRecorded"},
		"OldGone":       {reason: "what was masked is on record there, too", before: []string{"p/mail"}, shown: []string{email}, want: []string{"NoLongerMasked " + email + " no mask is for it"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			e := decided(policy.Allow, "", operation(policy.Access{Action: "select", Resource: "public.customers"}))
			e.Operation.Fields, e.Decision.Masks = tc.fields, tc.before
			j.add(e)
			j.add(decided(policy.Deny, access.ReasonProtocol, operation(orders))) // something in between
			if tc.shown != nil || tc.failed {
				r := record.Event{Type: record.OperationResult, OperationID: 1, Actor: alice(), Result: &record.Result{Outcome: "Succeeded", MaskedFields: tc.shown}}
				if tc.failed {
					r.Result.Outcome = "Failed"
				}
				j.add(r)
			}
			report := run(t, j, masking(tc.now...))
			var got []string
			for _, g := range report.Changes {
				got = append(got, g.Change+" "+g.Access+" "+g.Rule)
				if g.Example != logID+"/0" {
					t.Errorf("%s: %+v, want record 0", tc.reason, g)
				}
			}
			gap := ""
			for _, g := range report.MasksUnknown {
				gap += g.Reason
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || gap != tc.gap {
				t.Errorf("%s: gap %q, want %q: -want +got:\n%s", tc.reason, gap, tc.gap, diff)
			}
		})
	}
}

// TestRefusedForMasks: what could not be masked is let through where no mask is for it.
func TestRefusedForMasks(t *testing.T) {
	const email = "public.customers.email"
	cases := map[string]struct {
		reason string
		fields []string
		now    policy.Policy
		want   string
		gap    bool
	}{
		"Stays":    {reason: "the mask is still for it", fields: []string{email}, now: masking(strict("mail", email))},
		"Gone":     {reason: "no mask is", fields: []string{email}, now: masking(), want: replay.NewlyAllowed},
		"Other":    {reason: "those that are left are for others", fields: []string{email}, now: masking(strict("more", "public.orders.*")), want: replay.NewlyAllowed},
		"Lenient":  {reason: "the mask may permit it now", fields: []string{email}, now: masking(lenient("mail", email)), gap: true},
		"NoFields": {reason: "an old record: any mask may refuse it", now: masking(strict("more", "public.orders.*"))},
		"Denied":   {reason: "a rule refuses it now", fields: []string{email}, now: of("p", rule("no", policy.Deny, "select", "*"))},
		"Held":     {reason: "an approver is asked now", fields: []string{email}, now: of("p", rule("ask", policy.RequireApproval, "select", "*")), want: replay.NewlyHeld},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			e := decided(policy.Deny, access.ReasonMasked, operation(orders))
			e.Decision.Rules, e.Operation.Fields = nil, tc.fields
			j.add(e)
			report := run(t, j, tc.now)
			got := ""
			if len(report.Changes) > 0 {
				got = report.Changes[0].Change
			}
			if got != tc.want || (len(report.MasksUnknown) > 0) != tc.gap {
				t.Errorf("%s: %+v", tc.reason, report)
			}
		})
	}
}

// TestSessions: who would not be let in, who would, and under which role.
func TestSessions(t *testing.T) {
	role := of("p", rule("ok", policy.Allow, "select", "*"))
	role.TargetRole = "reader"
	other := of("q", rule("ok", policy.Allow, "select", "*"))
	other.TargetRole = "writer"
	nobody := of("p", rule("ok", policy.Allow, "select", "*"))
	nobody.Subjects[0].Name = "others"
	cases := map[string]struct {
		reason  string
		refused string
		code    record.Reason
		role    string
		now     []policy.Policy
		want    []string
		// otherwise is the reason for which policies have no say.
		otherwise string
	}{
		"Stays":      {reason: "nothing changes", now: []policy.Policy{masking()}},
		"TurnedAway": {reason: "no policy is about the caller", now: []policy.Policy{nobody}, want: []string{"NewlyTurnedAway connect no rule allows it"}},
		"Conflict":   {reason: "policies disagree on the role", now: []policy.Policy{role, other}, want: []string{"NewlyTurnedAway connect policies name different roles"}},
		"Role":       {reason: "a role is named", now: []policy.Policy{role}, want: []string{"RoleChanged role of the credential to reader p"}},
		"RoleStays":  {reason: "the same role", role: "reader", now: []policy.Policy{role}},
		"Admitted":   {reason: "a policy lets the caller in", refused: "alice (groups: staff) may not use connection \"db\"", now: []policy.Policy{masking()}, want: []string{"NewlyAdmitted connect p"}},
		"StaysOut":   {reason: "none does", refused: "alice (groups: staff) may not use connection \"db\"", now: []policy.Policy{nobody}},
		"Otherwise":  {reason: "it was refused for something else", refused: "the token has expired", now: []policy.Policy{masking()}, otherwise: "SessionRefused"},
		"ByWord":     {reason: "the word counts and not the text", refused: "turned away", code: record.ReasonNotAllowed, now: []policy.Policy{masking()}, want: []string{"NewlyAdmitted connect p"}},
		"ByRole":     {reason: "so does a conflict of roles", refused: "turned away", code: record.ReasonTargetRole, now: []policy.Policy{masking()}, want: []string{"NewlyAdmitted connect p"}},
		"ByLimit":    {reason: "a text that looks like a policy's is none", refused: "alice may not use connection \"db\" a fifth time", code: record.ReasonLimit, now: []policy.Policy{masking()}, otherwise: "LimitReached"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			e := record.Event{Type: record.SessionStart, Actor: alice()}
			if tc.refused != "" {
				e.Type, e.Reason, e.ReasonCode = record.SessionRefused, tc.refused, tc.code
			}
			if tc.role != "" {
				e.Attributes = []record.Attribute{{Name: "targetRole", Value: tc.role}}
			}
			j.add(e)
			report := run(t, j, tc.now...)
			var got []string
			for _, g := range report.Changes {
				got = append(got, g.Change+" "+g.Access+" "+g.Rule)
			}
			if !slices.Equal(got, tc.want) || report.Sessions != 1 || report.Operations != 0 {
				t.Errorf("%s: got %q, want %q: %+v", tc.reason, got, tc.want, report)
			}
			otherwise := ""
			if len(report.Otherwise) > 0 {
				otherwise = report.Otherwise[0].Reason
			}
			if otherwise != tc.otherwise {
				t.Errorf("%s: counted as %q, want %q", tc.reason, otherwise, tc.otherwise)
			}
		})
	}
}

// TestUnshown: an operation may name a field that its answer does not show. Other answers
// tell whether a mask of the same name was for it.
func TestUnshown(t *testing.T) {
	const email = "public.customers.email"
	cases := map[string]struct {
		reason string
		// shown is the masked field of another answer.
		shown string
		field string
		now   policy.Mask
		want  bool
	}{
		"Elsewhere":  {reason: "another answer had it masked", shown: email, field: email, now: strict("mail", email)},
		"Whole":      {reason: "the field is a part of what is counted", shown: email, field: "public.customers.*", now: strict("mail", email)},
		"Nowhere":    {reason: "no answer had it masked", field: email, now: strict("mail", email), want: true},
		"OtherField": {reason: "only another field was", shown: "public.customers.phone", field: email, now: strict("mail", "public.customers.*"), want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			for i, shown := range []string{"", tc.shown} {
				e := decided(policy.Allow, "", operation(policy.Access{Action: "select", Resource: "public.customers"}))
				e.Session, e.Decision.Masks, e.Operation.Fields = []string{"s-1", "s-2"}[i], []string{"p/mail"}, []string{tc.field}
				r := record.Event{Type: record.OperationResult, Session: e.Session, OperationID: 1, Actor: alice(), Result: &record.Result{Outcome: "Succeeded"}}
				if i == 1 {
					if shown == "" {
						break
					}
					e.Operation.Fields, r.Result.MaskedFields = []string{shown}, []string{shown}
				}
				j.add(e)
				j.add(r)
			}
			report := run(t, j, masking(tc.now))
			if (len(report.Changes) == 1) != tc.want || len(report.MasksUnknown) > 0 {
				t.Errorf("%s: %+v", tc.reason, report)
			}
		})
	}
}

// TestMasksOfClaims: whether a claim exempts from a mask is not known where the claim is
// not on record.
func TestMasksOfClaims(t *testing.T) {
	mask := lenient("mail", "public.customers.email")
	mask.Exempt = []policy.Subject{{Kind: policy.Claim, Name: "clearance", Values: []string{"high"}}}
	j := &journal{}
	e := decided(policy.Allow, "", operation(orders))
	e.Operation.Fields = []string{"public.customers.email"}
	j.add(e)
	report := run(t, j, masking(mask))
	if len(report.MasksUnknown) != 1 || report.MasksUnknown[0].Reason != "ClaimNotRecorded" || len(report.Changes)+len(report.Undecided) > 0 || report.Open() {
		t.Errorf("%+v", report)
	}
}
