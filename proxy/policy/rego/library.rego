# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: Doorward policy library
# description: |
#   Decides one operation of one caller on one connection. It reads
#
#   input.caller     {"user", "groups": [...], "provider"}
#   input.operation  {"accesses": [{"action", "resource", "indirect"}], "properties": [...]}
#
#   and data.set, the connection's AccessPolicies compiled to an index:
#
#   users, groups    name -> [{"policy", "provider"}]; a provider of "" is any
#   rules            policy number -> {"literal": action -> table, "open": [{"actions", "table"}]}
#   connects         numbers of the policies with a rule that can let anything through
#
#   A rule stands under "literal" for each action it names in full, and under
#   "open" where it has action patterns {"prefixes": [...], "patterns": [...]}. A
#   table finds rules {"id", "effect", "properties"} by resource:
#
#   any      [rule], whatever the resource
#   exact    resource -> [rule]
#   prefix   [{"prefix", "rule"}]
#   pattern  [{"pattern", "rule"}]
#
#   A glob without a star is exact, one with a single star at its end is a prefix,
#   any other is a pattern, an anchored regular expression.
#
#   Answers name policies and rules by number; whoever compiled the set knows them.
# scope: package
package doorward

# applies holds the policies whose subjects match the caller.
applies contains entry.policy if {
	some entry in data.set.users[input.caller.user]
	proven(entry)
}

applies contains entry.policy if {
	some group in input.caller.groups
	some entry in data.set.groups[group]
	proven(entry)
}

# proven says whether the caller comes from the identity provider that the
# subject asks for, if it asks for one.
proven(entry) if entry.provider == ""

proven(entry) if entry.provider == input.caller.provider

# hits holds, by effect, [position of the access, rule] for every rule that
# matches an access of the operation.
hits[hit[0]] contains [position, hit[1]] if {
	some policy in applies
	some position, access in input.operation.accesses
	some hit in reached(data.set.rules[policy].literal[access.action], access.resource)
}

# The action "unknown" stands for what a protocol could not read. No pattern
# matches it, only the very word, so that "*" never allows the unreadable.
hits[hit[0]] contains [position, hit[1]] if {
	some policy in applies
	some open in data.set.rules[policy].open
	some position, access in input.operation.accesses
	access.action != "unknown"
	matches(open.actions, access.action)
	some hit in reached(open.table, access.resource)
}

matches(globs, name) if strings.any_prefix_match(name, globs.prefixes)

matches(globs, name) if {
	some pattern in globs.patterns
	regex.match(pattern, name)
}

# reached holds [effect, rule] of the rules of a table that match a resource and
# whose properties the operation all has.
reached(table, resource) := {[rule.effect, rule.id] |
	some rule in candidates(table, resource)
	every property in rule.properties {
		property in input.operation.properties
	}
}

candidates(table, resource) := array.flatten([
	table.any,
	[rule | some rule in table.exact[resource]],
	[entry.rule |
		some entry in table.prefix
		startswith(resource, entry.prefix)
	],
	[entry.rule |
		some entry in table.pattern
		regex.match(entry.pattern, resource)
	],
])

# named holds the positions of accesses that the caller asked for by name.
named contains position if {
	some position, access in input.operation.accesses
	not access.indirect
}

# needed holds those that a rule must let through: what is named, and what could
# not be read, however it was reached.
needed contains position if some position in named

needed contains position if {
	some position, access in input.operation.accesses
	access.action == "unknown"
}

# uncovered holds those that no rule lets through, neither at once nor after
# approval.
uncovered := needed - covered

covered contains hit[0] if some hit in hits.Allow

covered contains hit[0] if some hit in hits.RequireApproval

# allowing holds the hits that allow what is needed.
allowing contains hit if {
	some hit in hits.Allow
	hit[0] in needed
}

# decision is the answer. A matching Deny wins; then every access needs a rule
# that must be let through needs a rule that does; then a matching RequireApproval
# asks; then it is allowed. An operation that accesses nothing by name was not
# understood, so it is refused.
decision := {"effect": "Deny", "hits": hits.Deny, "applies": applies} if {
	count(hits.Deny) > 0
} else := {"effect": "Deny", "hits": set(), "applies": applies} if {
	input.operation.accesses # without an operation there is no answer
	count(named) == 0
} else := {"effect": "Deny", "hits": set(), "uncovered": min(uncovered), "applies": applies} if {
	count(uncovered) > 0
} else := {"effect": "RequireApproval", "hits": hits.RequireApproval, "applies": applies} if {
	count(hits.RequireApproval) > 0
} else := {"effect": "Allow", "hits": allowing, "applies": applies} if {
	count(allowing) > 0
}

# connect holds the policies that a session of the caller would rest on. A
# caller without one can do nothing and is refused the session.
connect := {"policies": applies & {policy | some policy in data.set.connects}, "applies": applies}
