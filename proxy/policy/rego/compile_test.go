// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// refused compiles a Set of one policy that a test changes, and wants an error that
// names the policy and says the text; or none, where there is no text.
func refused(t *testing.T, reason, text string, change func(*policy.Policy)) {
	t.Helper()
	p := policy.Policy{
		Name: "p", Subjects: []policy.Subject{{Kind: policy.User, Name: "alice"}},
		Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"select"}}},
	}
	change(&p)
	_, err := New(t.Context(), policy.Set{Policies: []policy.Policy{p}}, policy.About{})
	switch {
	case text == "" && err != nil:
		t.Errorf("%s: %v", reason, err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), `"p"`)):
		t.Errorf("%s: got %v, want an error that names the policy and %s", reason, err, text)
	}
}

// TestSubjectsRefused: checklist 40: a subject that is not understood is an error, never
// one that matches more callers than it says, or none of those that it restricts.
func TestSubjectsRefused(t *testing.T) {
	all := func(parts ...policy.Subject) policy.Subject { return policy.Subject{Kind: policy.AllOf, All: parts} }
	user := policy.Subject{Kind: policy.User, Name: "alice"}
	cases := map[string]struct {
		reason  string
		subject policy.Subject
		text    string // empty for accepted
	}{
		"NoKind":           {reason: "no kind is not everybody", subject: policy.Subject{Name: "alice"}, text: "unknown kind"},
		"UnknownKind":      {reason: "kinds are written exactly", subject: policy.Subject{Kind: "user", Name: "alice"}, text: `"user"`},
		"NamelessUser":     {reason: "an empty name would be that of a caller without one", subject: policy.Subject{Kind: policy.User}, text: "without a name"},
		"NamelessGroup":    {reason: "nor is an empty group one", subject: policy.Subject{Kind: policy.Group}, text: "without a name"},
		"NamelessClaim":    {reason: "a claim has a name", subject: policy.Subject{Kind: policy.Claim, Values: []string{"*"}}, text: "without a name"},
		"NamelessActor":    {reason: "an actor without a subject is none", subject: policy.Subject{Kind: policy.Actor}, text: "without a name"},
		"NamelessBehalf":   {reason: "nobody is no person", subject: policy.Subject{Kind: policy.OnBehalfOfUser}, text: "without a name"},
		"NamelessGroupOf":  {reason: "no group is no group", subject: policy.Subject{Kind: policy.OnBehalfOfGroup}, text: "without a name"},
		"NamedEveryone":    {reason: "whoever writes a name means it", subject: policy.Subject{Kind: policy.Everyone, Name: "alice"}, text: "has no name"},
		"NamedHuman":       {reason: "whoever writes a name means it", subject: policy.Subject{Kind: policy.Human, Name: "alice"}, text: "has no name"},
		"NamedAllOf":       {reason: "whoever writes a name means it", subject: policy.Subject{Kind: policy.AllOf, Name: "x", All: []policy.Subject{user, user}}, text: "has no name"},
		"ClaimAnyValue":    {reason: "a claim without values would have to match all or none", subject: policy.Subject{Kind: policy.Claim, Name: "team"}, text: "values"},
		"ValuesOfAUser":    {reason: "values belong to claims", subject: policy.Subject{Kind: policy.User, Name: "alice", Values: []string{"*"}}, text: "values"},
		"BadValue":         {reason: "a glob is text", subject: policy.Subject{Kind: policy.Claim, Name: "team", Values: []string{"red", "\xff"}}, text: "invalid glob"},
		"EmptyAllOf":       {reason: "all of nothing would be everybody", subject: all(), text: "parts"},
		"PartsOfAGroup":    {reason: "parts belong to AllOf", subject: policy.Subject{Kind: policy.Group, Name: "g", All: []policy.Subject{user}}, text: "parts"},
		"AllOfAllOf":       {reason: "parts are single", subject: all(user, all(user, user)), text: "one subject"},
		"ProviderOfAPart":  {reason: "the provider stands outside, where it is looked at", subject: all(user, policy.Subject{Kind: policy.Human, Provider: "corp"}), text: "provider"},
		"UnknownPart":      {reason: "a part is a subject like any other", subject: all(user, policy.Subject{Kind: "Team", Name: "x"}), text: `"Team"`},
		"NamelessPart":     {reason: "a part is a subject like any other", subject: all(user, policy.Subject{Kind: policy.Group}), text: "without a name"},
		"Claim":            {reason: "name and values", subject: policy.Subject{Kind: policy.Claim, Name: "team", Values: []string{"red", "b*e"}}},
		"AllOf":            {reason: "parts of any single kind", subject: all(user, policy.Subject{Kind: policy.Agent}, policy.Subject{Kind: policy.Actor, Name: "bot"})},
		"Everyone":         {reason: "no name", subject: policy.Subject{Kind: policy.Everyone, Provider: "corp"}},
		"OnBehalfOfAGroup": {reason: "a name", subject: policy.Subject{Kind: policy.OnBehalfOfGroup, Name: "analysts"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			refused(t, tc.reason, tc.text, func(p *policy.Policy) { p.Subjects = append(p.Subjects, tc.subject) })
			refused(t, tc.reason+", also of an exemption", tc.text, func(p *policy.Policy) {
				p.Masks = []policy.Mask{{Name: "m", Fields: []string{"*"}, Method: policy.Method{Type: policy.Null}, Exempt: []policy.Subject{tc.subject}}}
			})
		})
	}
}

// TestConditionsRefused: checklist 40: a condition that is not understood is an error:
// left out it would widen what a policy allows, and never met what it denies.
func TestConditionsRefused(t *testing.T) {
	window := policy.TimeWindow{Days: []time.Weekday{time.Monday}, Start: 540, End: 1020}
	schedule := func(zone string, windows ...policy.TimeWindow) policy.Condition {
		return policy.Condition{Schedule: &policy.Schedule{TimeZone: zone, Windows: windows}}
	}
	changed := func(change func(*policy.TimeWindow)) policy.Condition {
		w := window
		change(&w)
		return schedule("UTC", window, w)
	}
	cases := map[string]struct {
		reason    string
		condition policy.Condition
		text      string
	}{
		"Nothing":       {reason: "a condition without a part says nothing", condition: policy.Condition{}, text: "one of them only"},
		"Both":          {reason: "one condition, one part", condition: policy.Condition{Schedule: &policy.Schedule{TimeZone: "UTC", Windows: []policy.TimeWindow{window}}, Sources: []string{"10.0.0.0/8"}}, text: "one of them only"},
		"BothShared":    {reason: "one condition, one part", condition: policy.Condition{SharedCredential: true, Sources: []string{"10.0.0.0/8"}}, text: "one of them only"},
		"Shared":        {reason: "a credential that was found shared", condition: policy.Condition{SharedCredential: true}},
		"NoZone":        {reason: "the machine's zone is not the admin's", condition: schedule("", window), text: "time zone"},
		"Local":         {reason: "nor is the one called Local", condition: schedule("Local", window), text: "time zone"},
		"UnknownZone":   {reason: "zones have names of the IANA database", condition: schedule("Europe/Atlantis", window), text: `"Europe/Atlantis"`},
		"PathAsZone":    {reason: "a zone is no file", condition: schedule("../../etc/passwd", window), text: "time zone"},
		"NoWindows":     {reason: "it would never hold", condition: schedule("UTC"), text: "without windows"},
		"NoDays":        {reason: "nor would a window without days", condition: changed(func(w *policy.TimeWindow) { w.Days = nil }), text: "window"},
		"NegativeStart": {reason: "days begin at 0", condition: changed(func(w *policy.TimeWindow) { w.Start = -1 }), text: "window"},
		"LateStart":     {reason: "and end before 1440", condition: changed(func(w *policy.TimeWindow) { w.Start = 1440 }), text: "window"},
		"NegativeEnd":   {reason: "days begin at 0", condition: changed(func(w *policy.TimeWindow) { w.End = -1 }), text: "window"},
		"LateEnd":       {reason: "an end is at most 24:00", condition: changed(func(w *policy.TimeWindow) { w.End = 1441 }), text: "window"},
		"UnknownDay":    {reason: "a week has seven days", condition: changed(func(w *policy.TimeWindow) { w.Days = []time.Weekday{7} }), text: "window"},
		"Address":       {reason: "an address is no network", condition: policy.Condition{Sources: []string{"10.0.0.0/8", "10.0.0.1"}}, text: `"10.0.0.1"`},
		"LongPrefix":    {reason: "IPv4 has 32 bits", condition: policy.Condition{Sources: []string{"10.0.0.0/33"}}, text: `"10.0.0.0/33"`},
		"Name":          {reason: "a host name is no network", condition: policy.Condition{Sources: []string{"localhost/8"}}, text: "CIDR"},
		"Mapped":        {reason: "a mapped network would be read in two ways", condition: policy.Condition{Sources: []string{"::ffff:10.0.0.0/104"}}, text: "CIDR"},
		"WholeDay":      {reason: "from 00:00 to 24:00", condition: changed(func(w *policy.TimeWindow) { w.Start, w.End = 0, 1440 })},
		"OverMidnight":  {reason: "the end is on the next day", condition: changed(func(w *policy.TimeWindow) { w.Start, w.End = 1320, 360 })},
		"Zone":          {reason: "a zone with daylight saving of half an hour", condition: schedule("Australia/Lord_Howe", window)},
		"Networks":      {reason: "of both families", condition: policy.Condition{Sources: []string{"10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "::/0"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			refused(t, tc.reason, tc.text, func(p *policy.Policy) {
				p.When = []policy.Condition{{Sources: []string{"192.0.2.0/24"}}, tc.condition}
			})
		})
	}
}

// TestClusterPoliciesRefused: one that allowed anything would undo what namespaces deny
// by saying nothing.
func TestClusterPoliciesRefused(t *testing.T) {
	refused(t, "a ClusterAccessPolicy has no Allow rules", "allows nothing", func(p *policy.Policy) { p.Cluster = true })
	refused(t, "it may refuse", "", func(p *policy.Policy) { p.Cluster, p.Rules[0].Effect = true, policy.Deny })
}

// TestApproversRefused: an approver who is not understood would be one whom nobody is.
func TestApproversRefused(t *testing.T) {
	for name, s := range map[string]policy.Subject{
		"Kind":     {Kind: policy.Everyone},
		"NoKind":   {Name: "leads"},
		"Nameless": {Kind: policy.Group},
		"Claim":    {Kind: policy.Claim, Name: "team", Values: []string{"red"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, "approvers are users and groups by name", "approver", func(p *policy.Policy) {
				terms := leads
				terms.Approvers = []policy.Subject{{Kind: policy.Group, Name: "leads"}, s}
				p.Rules[0].Effect, p.Rules[0].Approval = policy.RequireApproval, &terms
			})
		})
	}
}
