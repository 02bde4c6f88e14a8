# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

# ClusterAccessPolicies, policies in mode Audit, masks' exemptions, and answers of
# modules of Rego: what they add to a decision, and what they never do.
package doorward_kinds_test

import data.doorward

rule(number, effect, action) := {
	"id": number, "policy": number, "effect": effect, "properties": set(),
	"actions": {"exact": {action}, "prefixes": [], "patterns": []},
	"resources": {"exact": set(), "prefixes": [""], "patterns": []},
}

rules := [rule(0, "Allow", "select"), rule(1, "RequireApproval", "update"), rule(2, "Deny", "select"), rule(3, "Allow", "drop")]

everyone(number) := {"policy": number, "subject": {"kind": "Everyone", "name": "", "provider": ""}}

# Everybody has four policies: 0 allows select and 1, of the cluster, asks for approval of
# update; 2, in mode Audit, denies select and 3, in mode Audit, allows drop.
set := {
	"users": {},
	"groups": {},
	"others": [everyone(0), everyone(1), everyone(2), everyone(3)],
	"when": [[], [], [], []],
	"cluster": [1],
	"audit": [2, 3],
	"connects": [0, 1, 3],
	"exempt": [
		{"policy": 0, "mask": 0, "subject": {"kind": "User", "name": "alice", "provider": "corp"}},
		{"policy": 0, "mask": 1, "subject": {"kind": "Actor", "name": "bot", "provider": ""}},
		{"policy": 1, "mask": 0, "subject": {"kind": "Group", "name": "analysts", "provider": ""}},
		{"policy": 2, "mask": 0, "subject": {"kind": "Human", "name": "", "provider": ""}},
	],
}

alice := {"user": "alice", "groups": ["analysts"], "provider": "corp", "kind": "Human", "claims": {}, "delegation": []}

bot := object.union(alice, {"kind": "Agent", "delegation": [{"issuer": "", "subject": "bot"}]})

stands(caller, audit) := got if {
	got := doorward.standing with data.set as set
		with input as {"caller": caller, "at": {"time": 0, "client": ""}, "audit": audit}
}

effects := ["Deny", "RequireApproval", "Allow"]

# decides decides by the rules and by what modules answer, each a rule about the access at
# its position.
decides(standing, actions, answers) := got if {
	bound := [found | some found in rules; found.policy in standing.bound]
	written := {effect: list |
		some effect in effects
		list := [[position, found, found.policy in standing.granting] |
			some position, _ in actions
			some found in bound
			found.effect == effect
		]
	}
	answered := {effect: list |
		some effect in {answer.effect | some answer in answers}
		list := [[answer.position, rule(9, effect, actions[answer.position]), answer.covers] |
			some answer in answers
			answer.effect == effect
		]
	}
	got := doorward.decision with input as {
		"candidates": {effect: array.concat(object.get(written, effect, []), object.get(answered, effect, [])) |
			some effect in (object.keys(written) | object.keys(answered))
		},
		"operation": {"accesses": [{"action": action, "resource": ""} | some action in actions], "properties": set()},
	}
}

test_cluster_policy_binds_and_never_grants if {
	stands(alice, false).bound == {0, 1}
	stands(alice, false).granting == {0}
}

test_cluster_policy_is_no_ground_for_a_session if stands(alice, false).connects == {0}

test_cluster_approval_does_not_let_through if {
	got := decides(stands(alice, false), ["select", "update"], [])
	got.effect == "Deny"
	got.uncovered == 1
}

test_cluster_approval_holds_what_another_policy_allows if {
	got := doorward.decision with input as {
		"candidates": {
			"Allow": [[0, rule(0, "Allow", "update"), true]],
			"RequireApproval": [[0, rule(1, "RequireApproval", "update"), false]],
		},
		"operation": {"accesses": [{"action": "update", "resource": ""}], "properties": set()},
	}
	got == {"effect": "RequireApproval", "hits": {[0, 1, false]}}
}

test_audit_counts_where_it_is_asked_only if {
	stands(alice, false).bound == {0, 1}
	stands(alice, true).bound == {0, 1, 2, 3}
	stands(alice, true).granting == {0, 2, 3}
	stands(alice, true).connects == {0, 3}
}

test_audit_is_known_as_about_the_caller if stands(alice, false).matched == {0, 1, 2, 3}

test_audit_would_deny if {
	decides(stands(alice, false), ["select"], []).effect == "Allow"
	decides(stands(alice, true), ["select"], []) == {"effect": "Deny", "hits": {[0, 2, true]}}
}

test_audit_would_allow if {
	decides(stands(alice, false), ["drop"], []).effect == "Deny"
	decides(stands(alice, true), ["drop"], []) == {"effect": "Allow", "hits": {[0, 3, true]}}
}

# Everyone does not name delegation: the policies hold bot, and let nothing through.
test_approval_of_a_policy_that_does_not_permit_covers_nothing if {
	stands(bot, false).bound == {0, 1}
	stands(bot, false).granting == set()
	decides(stands(bot, false), ["select"], []).effect == "Deny"
}

test_exempt if stands(alice, false).exempt == {[0, 0], [1, 0], [2, 0]}

# What a mask hides from a person it hides from whoever acts for her, unless it says
# otherwise of the delegation.
test_exempt_by_delegation_only if stands(bot, false).exempt == {[0, 1]}

test_exempt_of_another_provider if {
	stands(object.union(alice, {"provider": "other"}), false).exempt == {[1, 0], [2, 0]}
}

answer(effect, position, covers) := {"effect": effect, "position": position, "covers": covers}

test_custom_deny_wins if {
	got := decides(stands(alice, false), ["select"], [answer("Deny", 0, false)])
	got == {"effect": "Deny", "hits": {[0, 9, false]}}
}

test_custom_allow if {
	got := decides(stands(alice, false), ["insert"], [answer("Allow", 0, true)])
	got == {"effect": "Allow", "hits": {[0, 9, true]}}
}

test_custom_allow_that_does_not_cover if {
	got := decides(stands(alice, false), ["insert"], [answer("Allow", 0, false)])
	got.effect == "Deny"
	got.hits == set()
}

test_custom_answer_of_no_known_effect_lets_nothing_through if {
	got := decides(stands(alice, false), ["insert"], [answer("Permit", 0, true)])
	got.effect == "Deny"
}

test_custom_allow_of_another_access if {
	got := decides(stands(alice, false), ["insert", "drop"], [answer("Allow", 0, true)])
	got.effect == "Deny"
	got.uncovered == 1
}

test_custom_allow_does_not_undo_a_deny if {
	got := decides(stands(alice, true), ["select"], [answer("Allow", 0, true)])
	got == {"effect": "Deny", "hits": {[0, 2, true]}}
}

test_custom_approval_covers if {
	got := decides(stands(alice, false), ["insert"], [answer("RequireApproval", 0, true)])
	got == {"effect": "RequireApproval", "hits": {[0, 9, true]}}
}

test_custom_approval_holds_what_is_allowed if {
	got := decides(stands(alice, false), ["select"], [answer("RequireApproval", 0, false)])
	got == {"effect": "RequireApproval", "hits": {[0, 9, false]}}
}

test_custom_approval_that_does_not_cover if {
	got := decides(stands(alice, false), ["insert"], [answer("RequireApproval", 0, false)])
	got.effect == "Deny"
	got.uncovered == 0
}
