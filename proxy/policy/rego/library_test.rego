# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

package doorward_test

import data.doorward

rule(number, effect, properties, actions, resources) := {
	"policy": number, "effect": effect, "properties": properties,
	"actions": actions, "resources": resources,
}

exactly(name) := {"exact": {name}, "prefixes": [], "patterns": []}

beginning(prefix) := {"exact": set(), "prefixes": [prefix], "patterns": []}

like(pattern) := {"exact": set(), "prefixes": [], "patterns": [pattern]}

any_resource := beginning("")

rules := [
	rule(0, "Allow", set(), exactly("select"), any_resource),
	rule(0, "RequireApproval", set(), exactly("update"), exactly("public.orders")),
	rule(0, "Allow", set(), {"exact": set(), "prefixes": ["ins"], "patterns": [`(?s)\A.*lete\z`]}, any_resource),
	rule(1, "Deny", {"unboundedWrite"}, beginning(""), any_resource),
	rule(0, "Allow", set(), exactly("update"), beginning("stage.")),
	rule(0, "Allow", set(), exactly("update"), like(`(?s)\A.*\.log\z`)),
	rule(2, "Allow", set(), exactly("unknown"), exactly("x")),
]

policies := {
	"users": {"alice": [{"policy": 0, "provider": ""}], "root": [{"policy": 2, "provider": ""}]},
	"groups": {"dba": [{"policy": 1, "provider": "corp"}]},
	"others": [],
	"when": [[], [], []],
	"cluster": [],
	"audit": [],
	"connects": [0],
	"exempt": [],
}

person(user, groups, provider) := {
	"user": user,
	"groups": groups,
	"provider": provider,
	"kind": "Human",
	"claims": {},
	"delegation": [],
}

alice := person("alice", [], "corp")

alice_dba := person("alice", ["dba"], "corp")

outsider := person("alice", ["dba"], "other")

at := {"time": 1784116800000000000, "client": "10.1.2.3"}

stands(caller) := got if {
	got := doorward.standing with data.set as policies with input as {"caller": caller, "at": at, "audit": false}
}

rules_of(bound) := [object.union(found, {"id": id}) |
	some id, found in rules
	found.policy in bound
]

# candidates are all of the rules for each access, as if nothing were known of them.
candidates(accesses, among, granting) := {effect: list |
	some effect in ["Deny", "RequireApproval", "Allow"]
	list := [[position, found, found.policy in granting] |
		some position, _ in accesses
		some found in among
		found.effect == effect
	]
}

decide(caller, accesses, properties) := got if {
	standing := stands(caller)
	got := doorward.decision with input as {
		"candidates": candidates(accesses, rules_of(standing.bound), standing.granting),
		"operation": {"accesses": accesses, "properties": {property | some property in properties}},
	}
}

read := {"action": "select", "resource": "public.orders"}

change := {"action": "update", "resource": "public.orders"}

test_allow if decide(alice, [read], []) == {"effect": "Allow", "hits": {[0, 0, true]}}

test_allow_by_prefix if decide(alice, [{"action": "insert", "resource": "x"}], []).hits == {[0, 2, true]}

test_allow_by_pattern if decide(alice, [{"action": "delete", "resource": "x"}], []).hits == {[0, 2, true]}

test_resource_by_prefix if decide(alice, [{"action": "update", "resource": "stage.x"}], []).hits == {[0, 4, true]}

test_resource_by_pattern if decide(alice, [{"action": "update", "resource": "a.log"}], []).hits == {[0, 5, true]}

test_approval if {
	decide(alice, [read, change], []) == {"effect": "RequireApproval", "hits": {[1, 1, true]}}
}

test_resource_without_rule_denied if {
	decide(alice, [{"action": "update", "resource": "public.other"}], []).effect == "Deny"
}

test_approval_covers_no_other_access if {
	got := decide(alice, [read, {"action": "drop", "resource": "public.orders"}, change], [])
	got.effect == "Deny"
	got.uncovered == 1
}

test_deny_wins if {
	got := decide(alice_dba, [read, change], ["unboundedWrite"])
	got.effect == "Deny"
	got.hits == {[0, 3, true], [1, 3, true]}
}

test_rule_without_its_property_is_silent if decide(alice_dba, [read], ["other"]).effect == "Allow"

test_other_provider_is_no_match if decide(outsider, [read], ["unboundedWrite"]).effect == "Allow"

test_unknown_is_matched_by_no_pattern if {
	got := decide(alice_dba, [{"action": "unknown", "resource": ""}], ["unboundedWrite"])
	got.effect == "Deny"
	got.hits == set()
}

test_nobody_denied if {
	mallory := person("mallory", ["alice"], "corp")
	decide(mallory, [read], []).effect == "Deny"
	stands(mallory).bound == set()
}

beneath(access) := object.union(access, {"indirect": true})

vault := {"action": "select", "resource": "vault.keys"}

test_indirect_needs_no_allow if {
	got := decide(alice, [read, beneath({"action": "drop", "resource": "x"})], [])
	got == {"effect": "Allow", "hits": {[0, 0, true]}}
}

test_indirect_is_denied if {
	decide(alice_dba, [read, beneath(vault)], ["unboundedWrite"]).effect == "Deny"
}

test_indirect_asks if {
	decide(alice, [read, beneath(change)], []) == {"effect": "RequireApproval", "hits": {[1, 1, true]}}
}

test_indirect_alone_denied if {
	decide(alice, [beneath(read)], []) == {"effect": "Deny", "hits": set()}
}

test_indirect_allow_does_not_cover_a_direct_access if {
	got := decide(alice, [{"action": "drop", "resource": "x"}, beneath(read)], [])
	got.effect == "Deny"
	got.uncovered == 0
}

test_indirect_unknown_needs_its_allow if {
	got := decide(alice, [read, beneath({"action": "unknown", "resource": "x"})], [])
	got.effect == "Deny"
	got.uncovered == 1
}

test_no_access_denied if decide(alice, [], []).effect == "Deny"

test_no_operation_is_no_decision if {
	not doorward.decision with input as {"candidates": {}}
}

test_no_rules_denied if {
	got := doorward.decision with input as {"candidates": {}, "operation": {"accesses": [read], "properties": set()}}
	got.effect == "Deny"
	got.uncovered == 0
}

test_unknown_is_allowed_by_its_name_only if {
	decide(person("root", [], ""), [{"action": "unknown", "resource": "x"}], []).effect == "Allow"
	decide(person("root", [], ""), [{"action": "unknown", "resource": "y"}], []).effect == "Deny"
}

test_properties_must_all_be_there if {
	both := [object.union(rules[3], {"id": 3, "properties": {"unboundedWrite", "multiStatement"}})]
	denied := {properties |
		some properties in [set(), {"unboundedWrite"}, {"multiStatement"}, {"unboundedWrite", "multiStatement", "other"}]
		got := doorward.decision with input as {
			"candidates": candidates([read], both, {1}),
			"operation": {"accesses": [read], "properties": properties},
		}
		got.hits == {[0, 3, true]}
	}
	denied == {{"unboundedWrite", "multiStatement", "other"}}
}

test_connect if stands(alice).connects == {0}

test_connect_needs_a_rule_that_lets_through if stands(person("eve", ["dba"], "corp")).connects == set()
