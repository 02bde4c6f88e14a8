// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"slices"
	"strings"
	"testing"
)

// object is one of an object's maps.
type object = map[string]any

func subject(kind string, more object) object {
	s := object{"kind": kind, "identityProvider": "company"}
	for key, value := range more {
		s[key] = value
	}
	return s
}

func subjects(all ...object) edits {
	list := make([]any, len(all))
	for i := range all {
		list[i] = all[i]
	}
	return edits{"spec.subjects": list}
}

func many[T any](n int, one T) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = one
	}
	return list
}

func schedule(zone string, windows ...any) edits {
	return edits{"spec.when": []any{object{"type": "Schedule", "schedule": object{"timeZone": zone, "windows": windows}}}}
}

func window(start, end string, days ...string) any {
	return object{"days": list(days...), "start": start, "end": end}
}

func sources(networks ...string) edits {
	return edits{"spec.when": []any{object{"type": "SourceCIDRs", "sourceCIDRs": list(networks...)}}}
}

// bothKinds asks about what AccessPolicies and ClusterAccessPolicies have in common.
func bothKinds(t *testing.T, cases map[string]schemaCase) {
	t.Helper()
	for _, file := range []string{"accesspolicy.yaml", "clusteraccesspolicy.yaml"} {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) { tryCreate(t, file, cases) })
	}
}

func TestSubjectSchema(t *testing.T) {
	claim := func(name string, values ...string) object {
		return object{"claim": object{"name": name, "values": list(values...)}}
	}
	named := object{"name": "x"}
	all := func(parts ...any) object { return object{"allOf": parts} }
	human, agent := object{"kind": "Human"}, object{"kind": "Agent"}
	cases := map[string]schemaCase{
		"Kinds": {reason: "every kind", changes: subjects(
			subject("User", named), subject("Group", named), subject("Claim", claim("repository", "shop/*")), subject("Human", nil),
			subject("Workload", nil), subject("Agent", nil), subject("Everyone", nil), subject("Actor", named),
			subject("OnBehalfOfUser", named), subject("OnBehalfOfGroup", named), subject("AllOf", all(agent, object{"kind": "OnBehalfOfGroup", "name": "x"})),
		)},
		"Kind":           {reason: "enum", changes: subjects(subject("Robot", nil)), want: "Unsupported value"},
		"NoKind":         {reason: "required", changes: subjects(object{"identityProvider": "*", "name": "x"}), want: "kind"},
		"ClaimMissing":   {reason: "union", changes: subjects(subject("Claim", nil)), want: "claim is required when kind is Claim"},
		"ClaimElsewhere": {reason: "union", changes: subjects(subject("Human", claim("a", "b"))), want: "forbidden otherwise"},
		"AllOfMissing":   {reason: "union", changes: subjects(subject("AllOf", nil)), want: "allOf is required when kind is AllOf"},
		"AllOfElsewhere": {reason: "union", changes: subjects(subject("Human", all(human, agent))), want: "forbidden otherwise"},
		"AllOfOne":       {reason: "one needs no AllOf", changes: subjects(subject("AllOf", all(human))), want: "allOf"},
		"AllOfNine":      {reason: "bounded", changes: subjects(subject("AllOf", all(many(9, human)...))), want: "allOf"},
		"AllOfNested":    {reason: "one level", changes: subjects(subject("AllOf", all(human, object{"kind": "AllOf"}))), want: "allOf holds no AllOf"},
		"PartNoName":     {reason: "union", changes: subjects(subject("AllOf", all(human, object{"kind": "Group"}))), want: "name is required"},
		"PartName":       {reason: "union", changes: subjects(subject("AllOf", all(agent, object{"kind": "Human", "name": "x"}))), want: "name is required"},
		"PartNoClaim":    {reason: "union", changes: subjects(subject("AllOf", all(agent, object{"kind": "Claim"}))), want: "claim is required"},
		"PartClaim":      {reason: "union", changes: subjects(subject("AllOf", all(agent, object{"kind": "Human", "claim": claim("a", "b")["claim"]}))), want: "claim is required"},
		"ClaimNoName":    {reason: "required", changes: subjects(subject("Claim", object{"claim": object{"values": list("a")}})), want: "name"},
		"ClaimEmptyName": {reason: "not empty", changes: subjects(subject("Claim", claim("", "a"))), want: "name"},
		"ClaimLongName":  {reason: "bounded", changes: subjects(subject("Claim", claim(longText(257), "a"))), want: "name"},
		"ClaimBadName":   {reason: "pattern", changes: subjects(subject("Claim", claim("a b", "a"))), want: "name"},
		"ClaimNoValues":  {reason: "checklist 40: absent would be any", changes: subjects(subject("Claim", object{"claim": object{"name": "a"}})), want: "values"},
		"ClaimNothing":   {reason: "at least one", changes: subjects(subject("Claim", claim("a"))), want: "values"},
		"ClaimEmpty":     {reason: "not empty", changes: subjects(subject("Claim", claim("a", ""))), want: "values"},
		"ClaimTwice":     {reason: "a set", changes: subjects(subject("Claim", claim("a", "b", "b"))), want: "Duplicate value"},
		"ClaimLong":      {reason: "bounded", changes: subjects(subject("Claim", claim("a", longText(513)))), want: "values"},
		"ClaimControl":   {reason: "checklist 48: no control characters", changes: subjects(subject("Claim", claim("a", "b\n"))), want: "values"},
		"ClaimMany":      {reason: "bounded", changes: subjects(subject("Claim", object{"claim": object{"name": "a", "values": names(65)}})), want: "values"},
		"LongName":       {reason: "bounded", changes: subjects(subject("User", object{"name": longText(513)})), want: "name"},
		"NoIdP":          {reason: "checklist 40: absent would be broader", changes: subjects(object{"kind": "Everyone"}), want: "identityProvider"},
	}
	for _, kind := range []string{"User", "Group", "Actor", "OnBehalfOfUser", "OnBehalfOfGroup"} {
		cases[kind+"NoName"] = schemaCase{reason: "union", changes: subjects(subject(kind, nil)), want: "name is required when kind is"}
	}
	for _, kind := range []string{"Human", "Workload", "Agent", "Everyone"} {
		cases[kind+"Name"] = schemaCase{reason: "union", changes: subjects(subject(kind, named)), want: "forbidden otherwise"}
	}
	cases["ClaimName"] = schemaCase{reason: "union", changes: subjects(subject("Claim", object{"name": "x", "claim": claim("a", "b")["claim"]})), want: "forbidden otherwise"}
	bothKinds(t, cases)
}

// TestSharedAllows: nobody is allowed something for sharing a credential.
func TestSharedAllows(t *testing.T) {
	shared := edits{"spec.when": []any{object{"type": "SharedCredential"}}}
	tryCreate(t, "accesspolicy.yaml", map[string]schemaCase{
		"Allow": {reason: "it would be for those alone", changes: shared, want: "has no Allow rules"},
		"Masks": {reason: "masks narrow", changes: with(with(shared, "spec.rules", []any{}), "spec.targetRole", "")},
	})
}

func TestConditionSchema(t *testing.T) {
	day := window("08:30", "18:00", "Monday", "Friday")
	shared := edits{"spec.when": []any{object{"type": "SharedCredential"}}}
	denies := []any{object{"name": "none", "effect": "Deny", "actions": list("*")}}
	bothKinds(t, map[string]schemaCase{
		"Absent":       {reason: "checklist 40: always written", changes: edits{"spec.when": absent{}}, want: "spec.when"},
		"Always":       {reason: "no condition, in words", changes: edits{"spec.when": []any{}}},
		"Many":         {reason: "bounded", changes: edits{"spec.when": many(9, sources("10.0.0.0/8")["spec.when"].([]any)[0])}, want: "spec.when"},
		"Schedule":     {reason: "office hours", changes: schedule("Europe/Berlin", day)},
		"UTC":          {reason: "a zone without a slash", changes: schedule("UTC", day)},
		"Etc":          {reason: "a zone with a sign", changes: schedule("Etc/GMT+1", day)},
		"Midnight":     {reason: "until the end of the day", changes: schedule("UTC", window("00:00", "24:00", "Sunday"))},
		"Overnight":    {reason: "until the next day", changes: schedule("UTC", window("22:00", "06:00", "Sunday"))},
		"NoZone":       {reason: "required", changes: edits{"spec.when": []any{object{"type": "Schedule", "schedule": object{"windows": []any{day}}}}}, want: "timeZone"},
		"EmptyZone":    {reason: "not empty", changes: schedule("", day), want: "timeZone"},
		"BadZone":      {reason: "pattern", changes: schedule("../etc", day), want: "timeZone"},
		"LongZone":     {reason: "bounded", changes: schedule(longText(65), day), want: "timeZone"},
		"NoWindows":    {reason: "required", changes: edits{"spec.when": []any{object{"type": "Schedule", "schedule": object{"timeZone": "UTC"}}}}, want: "windows"},
		"EmptyWindows": {reason: "it would never hold", changes: schedule("UTC"), want: "windows"},
		"ManyWindows":  {reason: "bounded", changes: schedule("UTC", many(17, day)...), want: "windows"},
		"NoDays":       {reason: "at least one", changes: schedule("UTC", window("08:00", "09:00")), want: "days"},
		"Day":          {reason: "enum", changes: schedule("UTC", window("08:00", "09:00", "monday")), want: "Unsupported value"},
		"DayTwice":     {reason: "a set", changes: schedule("UTC", window("08:00", "09:00", "Monday", "Monday")), want: "Duplicate value"},
		"DaysMissing":  {reason: "required", changes: schedule("UTC", object{"start": "08:00", "end": "09:00"}), want: "days"},
		"NoStart":      {reason: "required", changes: schedule("UTC", object{"days": list("Monday"), "end": "09:00"}), want: "start"},
		"NoEnd":        {reason: "required", changes: schedule("UTC", object{"days": list("Monday"), "start": "09:00"}), want: "end"},
		"StartHour":    {reason: "pattern", changes: schedule("UTC", window("24:00", "09:00", "Monday")), want: "start"},
		"StartShort":   {reason: "pattern", changes: schedule("UTC", window("8:00", "09:00", "Monday")), want: "start"},
		"EndHour":      {reason: "pattern", changes: schedule("UTC", window("08:00", "24:01", "Monday")), want: "end"},
		"EndMinute":    {reason: "pattern", changes: schedule("UTC", window("08:00", "09:60", "Monday")), want: "end"},

		"Sources":      {reason: "networks of both kinds", changes: sources("10.0.0.0/8", "2001:db8::/32")},
		"NoSources":    {reason: "union", changes: edits{"spec.when": []any{object{"type": "SourceCIDRs"}}}, want: "sourceCIDRs is required when type is SourceCIDRs"},
		"EmptySources": {reason: "at least one", changes: sources(), want: "sourceCIDRs"},
		"ManySources":  {reason: "bounded", changes: edits{"spec.when": []any{object{"type": "SourceCIDRs", "sourceCIDRs": networks(65)}}}, want: "sourceCIDRs"},
		"Address":      {reason: "a network, not an address", changes: sources("10.0.0.1"), want: "must be a network in CIDR notation"},
		"BadLength":    {reason: "a network", changes: sources("10.0.0.0/33"), want: "must be a network in CIDR notation"},
		"SourceTwice":  {reason: "a set", changes: sources("10.0.0.0/8", "10.0.0.0/8"), want: "Duplicate value"},
		"SourceLong":   {reason: "bounded", changes: sources(longText(44)), want: "sourceCIDRs"},
		"SourceEmpty":  {reason: "not empty", changes: sources(""), want: "sourceCIDRs"},

		"Shared":        {reason: "it needs nothing else", changes: with(shared, "spec.rules", denies)},
		"SharedSources": {reason: "union", changes: with(edits{"spec.when": []any{object{"type": "SharedCredential", "sourceCIDRs": list("10.0.0.0/8")}}}, "spec.rules", denies), want: "forbidden otherwise"},

		"Type":            {reason: "enum", changes: edits{"spec.when": []any{object{"type": "Weather"}}}, want: "Unsupported value"},
		"NoType":          {reason: "required", changes: edits{"spec.when": []any{object{"sourceCIDRs": list("10.0.0.0/8")}}}, want: "type"},
		"ScheduleMissing": {reason: "union", changes: edits{"spec.when": []any{object{"type": "Schedule"}}}, want: "schedule is required when type is Schedule"},
		"Both": {reason: "union", changes: edits{"spec.when": []any{object{
			"type": "SourceCIDRs", "sourceCIDRs": list("10.0.0.0/8"), "schedule": object{"timeZone": "UTC", "windows": []any{day}},
		}}}, want: "forbidden otherwise"},
		"Mode":   {reason: "enum", changes: edits{"spec.mode": "DryRun"}, want: "Unsupported value"},
		"Audit":  {reason: "it only records", changes: edits{"spec.mode": "Audit"}},
		"NoMode": {reason: "checklist 40: always written", changes: edits{"spec.mode": absent{}}, want: "spec.mode"},
	})
}

// networks returns n different ones.
func networks(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = "10.0." + strings.TrimPrefix(names(n)[i].(string), "n") + ".0/24"
	}
	return list
}

func TestSelectorSchema(t *testing.T) {
	connections := func(one object) edits { return edits{"spec.connections": []any{one}} }
	labels := object{}
	for _, name := range names(17) {
		labels[name.(string)] = "x"
	}
	cases := map[string]schemaCase{
		"Labels":      {reason: "by labels", changes: connections(object{"matchLabels": object{"tier": "gold", "shop.example/team": ""}})},
		"Glob":        {reason: "by name", changes: connections(object{"name": "orders-*"})},
		"Both":        {reason: "checklist 40: one of them could be misspelt", changes: connections(object{"name": "a", "matchLabels": object{"a": "b"}}), want: "exactly one of"},
		"Neither":     {reason: "selects what", changes: connections(object{}), want: "exactly one of"},
		"EmptyLabels": {reason: "every Connection is written '*'", changes: connections(object{"matchLabels": object{}}), want: "matchLabels"},
		"ManyLabels":  {reason: "bounded", changes: connections(object{"matchLabels": labels}), want: "matchLabels"},
		"EmptyName":   {reason: "not empty", changes: connections(object{"name": ""}), want: "name"},
		"LongName":    {reason: "bounded", changes: connections(object{"name": longText(64)}), want: "name"},
		"BadName":     {reason: "pattern", changes: connections(object{"name": "Orders"}), want: "name"},
		"None":        {reason: "at least one", changes: edits{"spec.connections": []any{}}, want: "spec.connections"},
		"Many":        {reason: "bounded", changes: edits{"spec.connections": many(65, object{"name": "a"})}, want: "spec.connections"},
	}
	bothKinds(t, cases)
	namespaces := map[string]schemaCase{
		"Absent": {reason: "required", changes: edits{"spec.namespaces": absent{}}, want: "spec.namespaces"},
	}
	for name, tc := range cases {
		moved := edits{}
		for path, value := range tc.changes {
			moved[strings.Replace(path, "connections", "namespaces", 1)] = value
		}
		namespaces[name] = schemaCase{reason: tc.reason, changes: moved, want: strings.Replace(tc.want, "connections", "namespaces", 1)}
	}
	tryCreate(t, "clusteraccesspolicy.yaml", namespaces)
}

func TestExemptSchema(t *testing.T) {
	exempt := func(all ...any) edits { return edits{"spec.masks.0.exempt": append([]any{}, all...)} }
	bothKinds(t, map[string]schemaCase{
		"One":   {reason: "a group", changes: exempt(subject("Group", object{"name": "fraud"}))},
		"None":  {reason: "leave it out", changes: exempt(), want: "exempt"},
		"Many":  {reason: "bounded", changes: exempt(many(33, subject("Human", nil))...), want: "exempt"},
		"NoIdP": {reason: "checklist 40: absent would be broader", changes: exempt(object{"kind": "Group", "name": "fraud"}), want: "identityProvider"},
		"Union": {reason: "subjects are checked here, too", changes: exempt(subject("Group", nil)), want: "name is required"},
	})
}

func TestRegoSchema(t *testing.T) {
	inline := object{"source": "Inline", "inline": "package doorward.policy"}
	byName := object{"source": "ConfigMap", "configMap": object{"name": "modules", "key": "hours.rego"}}
	alone := func(rego any) edits {
		return edits{"spec.rules": []any{}, "spec.masks": []any{}, "spec.limits": []any{}, "spec.targetRole": "", "spec.rego": rego}
	}
	but := func(field string, value any) edits { return with(alone(inline), field, value) }
	const nothingElse = "a policy with rego has no rules, masks, limits or targetRole"
	tryCreate(t, "accesspolicy.yaml", map[string]schemaCase{
		"Inline":        {reason: "a module in the policy", changes: alone(inline)},
		"ConfigMap":     {reason: "a module beside it", changes: alone(byName)},
		"WithRules":     {reason: "checklist 40: rego misspelt would leave the rules", changes: but("spec.rules", sampleField("spec.rules")), want: nothingElse},
		"WithMasks":     {reason: "checklist 40: likewise", changes: but("spec.masks", sampleField("spec.masks")), want: nothingElse},
		"WithLimits":    {reason: "checklist 40: likewise", changes: but("spec.limits", sampleField("spec.limits")), want: nothingElse},
		"WithRole":      {reason: "checklist 40: likewise", changes: but("spec.targetRole", "reader"), want: nothingElse},
		"Source":        {reason: "enum", changes: alone(object{"source": "URL"}), want: "Unsupported value"},
		"NoSource":      {reason: "required", changes: alone(object{"inline": "package doorward.policy"}), want: "source"},
		"NoInline":      {reason: "union", changes: alone(object{"source": "Inline"}), want: "inline is required when source is Inline"},
		"NoConfigMap":   {reason: "union", changes: alone(object{"source": "ConfigMap"}), want: "configMap is required when source is ConfigMap"},
		"Both":          {reason: "union", changes: alone(object{"source": "Inline", "inline": "package doorward.policy", "configMap": byName["configMap"]}), want: "forbidden otherwise"},
		"InlineForeign": {reason: "union", changes: alone(object{"source": "ConfigMap", "inline": "package doorward.policy", "configMap": byName["configMap"]}), want: "forbidden otherwise"},
		"Empty":         {reason: "not empty", changes: alone(object{"source": "Inline", "inline": ""}), want: "inline"},
		"Long":          {reason: "bounded", changes: alone(object{"source": "Inline", "inline": longText(32769)}), want: "inline"},
		"NoKey":         {reason: "required", changes: alone(object{"source": "ConfigMap", "configMap": object{"name": "modules"}}), want: "key"},
		"NoName":        {reason: "required", changes: alone(object{"source": "ConfigMap", "configMap": object{"key": "hours.rego"}}), want: "name"},
	})
	tryCreate(t, "clusteraccesspolicy.yaml", map[string]schemaCase{
		"Cluster": {reason: "unknown keys are dropped, and strict validation names them", changes: edits{"spec.rego": inline}},
	})
}

func TestClusterAccessPolicySchema(t *testing.T) {
	clusterField := func(path string) any { return field(sample("clusteraccesspolicy.yaml").Object, path) }
	nothing := edits{"spec.rules": []any{}, "spec.masks": []any{}, "spec.limits": []any{}}
	rule := func(r object) edits { return edits{"spec.rules": []any{r}} }
	tryCreate(t, "clusteraccesspolicy.yaml", map[string]schemaCase{
		"Sample":     {reason: "the sample is valid"},
		"OnlyRules":  {reason: "rules alone", changes: with(nothing, "spec.rules", clusterField("spec.rules"))},
		"OnlyMasks":  {reason: "masks alone", changes: with(nothing, "spec.masks", clusterField("spec.masks"))},
		"OnlyLimits": {reason: "limits alone", changes: with(nothing, "spec.limits", clusterField("spec.limits"))},
		"Ask": {reason: "an approval", changes: rule(object{"name": "ask", "effect": "RequireApproval", "actions": list("update"), "approval": object{
			"approvers": []any{object{"kind": "Group", "name": "leads"}}, "minimum": int64(1), "timeoutSeconds": int64(60),
		}})},
		"Allow": {
			reason: "what no namespace may undo lets nothing through", changes: rule(object{"name": "all", "effect": "Allow", "actions": list("*"), "resources": list("*")}),
			want: "a ClusterAccessPolicy has no Allow rules",
		},
		"Neither":    {reason: "says nothing", changes: nothing, want: "at least one rule, mask or limit is required"},
		"NoRules":    {reason: "checklist 40: always written", changes: edits{"spec.rules": absent{}}, want: "spec.rules"},
		"NoMasks":    {reason: "checklist 40: always written", changes: edits{"spec.masks": absent{}}, want: "spec.masks"},
		"NoLimits":   {reason: "checklist 40: always written", changes: edits{"spec.limits": absent{}}, want: "spec.limits"},
		"ManyRules":  {reason: "bounded", changes: edits{"spec.rules": repeat(65, "name", object{"effect": "Deny", "actions": []any{"select"}})}, want: "spec.rules"},
		"ManyMasks":  {reason: "bounded", changes: edits{"spec.masks": repeat(65, "name", object{"fields": []any{"a.b.c"}, "method": object{"type": "Null"}})}, want: "spec.masks"},
		"ManyLimits": {reason: "bounded", changes: edits{"spec.limits": many(17, object{"type": "SessionSeconds", "maximum": int64(1)})}, want: "spec.limits"},
		"RuleTwice":  {reason: "names are unique", changes: edits{"spec.rules": slices.Concat(clusterField("spec.rules").([]any), clusterField("spec.rules").([]any))}, want: "Duplicate value"},
		"NoSubjects": {reason: "required", changes: edits{"spec.subjects": absent{}}, want: "spec.subjects"},
		"Subjects":   {reason: "at least one", changes: edits{"spec.subjects": []any{}}, want: "spec.subjects"},
		"ManySubs":   {reason: "bounded", changes: edits{"spec.subjects": many(129, subject("Human", nil))}, want: "spec.subjects"},
	})
}
