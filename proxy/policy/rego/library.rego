# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: Doorward policy library
# description: |
#   Decides what one caller may do on one connection, in two questions.
#
#   "standing" asks once which policies apply to the caller. It reads
#
#   input.caller     {"user", "groups": [...], "provider", "kind",
#                     "claims": {name: [value]}, "delegation": [{"issuer", "subject"}]}
#   input.at         {"time": nanoseconds since 1970, "client": address or "",
#                     "sharedCredential": whether the caller's was found used from several places}
#   input.audit      whether policies in mode Audit count
#
#   "decision" asks for one operation. It reads
#
#   input.operation  {"accesses": [{"action", "resource", "indirect"}], "properties": {...}}
#   input.candidates {effect: [[position, rule, lets]]}, the rules of policies that bind
#                    the caller, with the position of an access that they may match;
#                    those that are known not to match one are left out. "lets" says
#                    whether the rule's policy lets the caller through. What modules of
#                    policies with Rego of their own answer is a rule about that very
#                    access, and "lets" whether the answer covers it.
#
#   A rule is {"id", "actions": globs, "resources": globs, "properties": {...}}. Globs are
#   {"exact": {...}, "prefixes", "patterns"}: a glob without a star is exact, one with a
#   single star at its end is a prefix, any other is a pattern, an anchored regular
#   expression. In data, where there are no sets, "exact" is an object of true.
#
#   "standing" reads data.set, the connection's policies. A policy's number is its place
#   in each list:
#
#   users, groups    name -> [{"policy", "provider"}]; a provider of "" is any
#   others           [{"policy", "subject"}], subjects of other kinds
#   when             [[condition]], those under which each policy is in force
#   cluster, audit   numbers of ClusterAccessPolicies, and of policies in mode Audit
#   connects         numbers of the policies with a rule that can let anything through
#   exempt           [{"policy", "mask", "subject"}], whom a mask hides nothing from
#
#   Answers name policies and rules by number; whoever compiled the set knows them.
# scope: package
package doorward

# standing is which policies bind the caller, which of these let through what they
# allow, which of those a session can rest on, and which [policy, mask] hide nothing
# from him. "matched" are those that would bind him if they were in force, "lapsed" the
# [policy, condition] of these that do not hold, for people.
standing := {
	"matched": matched,
	"lapsed": lapsed,
	"bound": bound,
	"granting": granting,
	"connects": granting & {policy | some policy in data.set.connects},
	"exempt": exempt,
}

bound := (matched - silent) - unmet("restricts")

granting := ((permitted - silent) - {policy | some policy in data.set.cluster}) - unmet("permits")

# silent are the policies that decide nothing: those in mode Audit, but for where it is
# asked what they would do.
silent contains policy if {
	not input.audit
	some policy in data.set.audit
}

# matched holds the policies with a subject that the caller is. Of somebody who acts
# for another these are that person's: what restricts him binds whoever acts for him.
# Users and groups are found by their names.
matched contains entry.policy if {
	some entry in data.set.users[input.caller.user]
	proven(entry.provider)
}

matched contains entry.policy if {
	some group in input.caller.groups
	some entry in data.set.groups[group]
	proven(entry.provider)
}

matched contains entry.policy if some entry in described

# permitted holds those that let the caller through. Whoever acts for another needs a
# subject that says so.
permitted := matched if {
	not delegated
} else := {entry.policy |
	some entry in described
	names_delegation(entry.subject)
	matches_subject(entry.subject, {input.caller.kind})
}

exempt contains [entry.policy, entry.mask] if {
	some entry in data.set.exempt
	proven(entry.subject.provider)
	matches_subject(entry.subject, {input.caller.kind})
	speaks_of(entry.subject)
}

# speaks_of says whether a subject may favour the caller: one that says nothing of
# delegation favours nobody who acts for another.
speaks_of(_) if not delegated

speaks_of(subject) if names_delegation(subject)

delegated if count(input.caller.delegation) > 0

# held_as are the kinds of callers that the caller's restrictions are about: his own,
# and that of the person whom he acts for.
held_as contains input.caller.kind

held_as contains "Human" if delegated

# described holds the entries of other subjects that the caller answers to.
described contains entry if {
	some entry in data.set.others
	proven(entry.subject.provider)
	matches_subject(entry.subject, held_as)
}

# proven says whether the caller comes from the identity provider that the
# subject asks for, if it asks for one.
proven("")

proven(provider) if provider == input.caller.provider

matches_subject(subject, kinds) if {
	subject.kind == "AllOf"
	every part in subject.all {
		matches_part(part, kinds)
	}
}

matches_subject(subject, kinds) if matches_part(subject, kinds)

matches_part(subject, _) if {
	subject.kind == "User"
	subject.name == input.caller.user
}

matches_part(subject, _) if {
	subject.kind == "Group"
	subject.name in input.caller.groups
}

matches_part(subject, _) if {
	subject.kind == "Claim"
	some value in input.caller.claims[subject.name]
	matches(subject.values, value)
}

matches_part(subject, kinds) if {
	subject.kind in {"Human", "Workload", "Agent"}
	subject.kind in kinds
}

matches_part(subject, _) if subject.kind == "Everyone"

matches_part(subject, _) if {
	subject.kind == "Actor"
	input.caller.delegation[0].subject == subject.name
}

matches_part(subject, _) if {
	delegated
	subject.kind == "OnBehalfOfUser"
	subject.name == input.caller.user
}

matches_part(subject, _) if {
	delegated
	subject.kind == "OnBehalfOfGroup"
	subject.name in input.caller.groups
}

names_delegation(subject) if about_delegation(subject)

names_delegation(subject) if {
	subject.kind == "AllOf"
	some part in subject.all
	about_delegation(part)
}

about_delegation(subject) if subject.kind in {"Actor", "OnBehalfOfUser", "OnBehalfOfGroup"}

# unmet holds the policies with a condition that does not hold. Where the caller's
# address is not known, what restricts is in force and what permits is not.
unmet(effect) := {policy |
	some policy in matched
	some condition in data.set.when[policy]
	not holds(condition, effect)
}

lapsed contains [policy, number] if {
	some policy in matched
	some number, condition in data.set.when[policy]
	not holds(condition, "permits")
}

holds(condition, _) if {
	input.at.client != ""
	some source in condition.sources
	net.cidr_contains(source, input.at.client)
}

holds(condition, "restricts") if {
	condition.sources
	input.at.client == ""
}

holds(condition, _) if {
	condition.sharedCredential
	input.at.sharedCredential
}

holds(condition, _) if {
	[hours, minutes, _] := time.clock([input.at.time, condition.timeZone])
	today := time.weekday([input.at.time, condition.timeZone])
	some window in condition.windows
	within(window, today, (hours * 60) + minutes)
}

within(window, today, minute) if {
	today in window.days
	window.start < window.end
	minute >= window.start
	minute < window.end
}

# A window that ends on the next day has a part on each.
within(window, today, minute) if {
	today in window.days
	window.end <= window.start
	minute >= window.start
}

within(window, today, minute) if {
	day_before[today] in window.days
	window.end <= window.start
	minute < window.end
}

day_before := {
	"Monday": "Sunday",
	"Tuesday": "Monday",
	"Wednesday": "Tuesday",
	"Thursday": "Wednesday",
	"Friday": "Thursday",
	"Saturday": "Friday",
	"Sunday": "Saturday",
}

# denying, asking and allowing hold [position, rule, lets] for every rule that matches the
# access at the position, by the rule's effect. One that allows counts only where its
# policy lets the caller through, and the access needs it.
denying := {[position, rule.id, lets] |
	some [position, rule, lets] in input.candidates.Deny
	access := input.operation.accesses[position]
	object.subset(input.operation.properties, rule.properties)
	acts(rule.actions, access.action)
	matches(rule.resources, access.resource)
}

asking := {[position, rule.id, lets] |
	some [position, rule, lets] in input.candidates.RequireApproval
	access := input.operation.accesses[position]
	object.subset(input.operation.properties, rule.properties)
	acts(rule.actions, access.action)
	matches(rule.resources, access.resource)
}

allowing := {[position, rule.id, true] |
	some [position, rule, true] in input.candidates.Allow
	needed[position]
	access := input.operation.accesses[position]
	object.subset(input.operation.properties, rule.properties)
	acts(rule.actions, access.action)
	matches(rule.resources, access.resource)
}

# acts says whether a rule's actions match one. The action "unknown" stands for what a
# protocol could not read. No pattern matches it, only the very word, so that "*" never
# allows the unreadable.
acts(globs, action) if globs.exact[action]

acts(globs, action) if {
	action != "unknown"
	matches(globs, action)
}

matches(globs, name) if globs.exact[name]

matches(globs, name) if strings.any_prefix_match(name, globs.prefixes)

matches(globs, name) if {
	some pattern in globs.patterns
	regex.match(pattern, name)
}

# understood says that the caller asked for an access by name. Those that he did not, such as
# to a view's tables, are indirect.
understood if {
	some access in input.operation.accesses
	not access.indirect
}

# needed holds the positions of those that a rule must let through: all but the indirect
# ones, and of these what could not be read.
needed contains position if {
	some position, access in input.operation.accesses
	not access.indirect
}

needed contains position if {
	some position, access in input.operation.accesses
	access.indirect
	access.action == "unknown"
}

# uncovered holds those of them that no rule lets through, neither at once nor after
# approval.
uncovered := needed - {position | some [position, _, true] in (allowing | asking)}

# decision is the answer. It is allowed where no rule denies it, a rule lets each access
# through that needs one, and none asks for approval. Otherwise a matching Deny wins; then
# what is not let through is refused; then a matching RequireApproval asks. An operation
# that accesses nothing by name was not understood, so it is refused.
decision := {"effect": "Allow", "hits": allowing} if {
	denying == set()
	uncovered == set()
	asking == set()
	understood
} else := {"effect": "Deny", "hits": denying} if {
	denying != set()
} else := {"effect": "Deny", "hits": set()} if {
	input.operation.accesses
	not understood
} else := {"effect": "Deny", "hits": set(), "uncovered": min(uncovered)} if {
	uncovered != set()
} else := {"effect": "RequireApproval", "hits": asking} if {
	asking != set()
}
