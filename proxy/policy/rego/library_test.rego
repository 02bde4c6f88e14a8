# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

package doorward_test

import data.doorward

rule(id, effect, properties) := {"id": id, "effect": effect, "properties": properties}

any_resource(found) := {"any": [found], "exact": {}, "prefix": [], "pattern": []}

policies := {
	"users": {"alice": [{"policy": 0, "provider": ""}]},
	"groups": {"dba": [{"policy": 1, "provider": "corp"}]},
	"connects": [0],
	"rules": [
		{
			"literal": {
				"select": any_resource(rule(0, "Allow", [])),
				"update": {
					"any": [],
					"exact": {"public.orders": [rule(1, "RequireApproval", [])]},
					"prefix": [{"prefix": "stage.", "rule": rule(4, "Allow", [])}],
					"pattern": [{"pattern": `(?s)\A.*\.log\z`, "rule": rule(5, "Allow", [])}],
				},
			},
			"open": [{
				"actions": {"prefixes": ["ins"], "patterns": [`(?s)\A.*lete\z`]},
				"table": any_resource(rule(2, "Allow", [])),
			}],
		},
		{
			"literal": {},
			"open": [{
				"actions": {"prefixes": [""], "patterns": []},
				"table": any_resource(rule(3, "Deny", ["unboundedWrite"])),
			}],
		},
	],
}

alice := {"user": "alice", "groups": [], "provider": "corp"}

alice_dba := {"user": "alice", "groups": ["dba"], "provider": "corp"}

outsider := {"user": "alice", "groups": ["dba"], "provider": "other"}

decide(caller, accesses, properties) := got if {
	got := doorward.decision with data.set as policies
		with input as {"caller": caller, "operation": {"accesses": accesses, "properties": properties}}
}

read := {"action": "select", "resource": "public.orders"}

change := {"action": "update", "resource": "public.orders"}

test_allow if decide(alice, [read], []) == {"effect": "Allow", "hits": {[0, 0]}, "applies": {0}}

test_allow_by_prefix if decide(alice, [{"action": "insert", "resource": "x"}], []).hits == {[0, 2]}

test_allow_by_pattern if decide(alice, [{"action": "delete", "resource": "x"}], []).hits == {[0, 2]}

test_resource_by_prefix if decide(alice, [{"action": "update", "resource": "stage.x"}], []).hits == {[0, 4]}

test_resource_by_pattern if decide(alice, [{"action": "update", "resource": "a.log"}], []).hits == {[0, 5]}

test_approval if {
	decide(alice, [read, change], []) == {"effect": "RequireApproval", "hits": {[1, 1]}, "applies": {0}}
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
	got.hits == {[0, 3], [1, 3]}
}

test_rule_without_its_property_is_silent if decide(alice_dba, [read], ["other"]).effect == "Allow"

test_other_provider_is_no_match if decide(outsider, [read], ["unboundedWrite"]).effect == "Allow"

test_unknown_is_matched_by_no_pattern if {
	got := decide(alice_dba, [{"action": "unknown", "resource": ""}], ["unboundedWrite"])
	got.effect == "Deny"
	got.hits == set()
}

test_nobody_denied if {
	got := decide({"user": "mallory", "groups": ["alice"], "provider": "corp"}, [read], [])
	got.effect == "Deny"
	got.applies == set()
}

beneath(access) := object.union(access, {"indirect": true})

vault := {"action": "select", "resource": "vault.keys"}

test_indirect_needs_no_allow if {
	got := decide(alice, [read, beneath({"action": "drop", "resource": "x"})], [])
	got == {"effect": "Allow", "hits": {[0, 0]}, "applies": {0}}
}

test_indirect_is_denied if {
	decide(alice_dba, [read, beneath(vault)], ["unboundedWrite"]).effect == "Deny"
}

test_indirect_asks if {
	decide(alice, [read, beneath(change)], []) == {"effect": "RequireApproval", "hits": {[1, 1]}, "applies": {0}}
}

test_indirect_alone_denied if {
	decide(alice, [beneath(read)], []) == {"effect": "Deny", "hits": set(), "applies": {0}}
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
	not doorward.decision with data.set as policies with input as {"caller": alice}
}

test_no_data_denied if {
	got := doorward.decision with data.set as {}
		with input as {"caller": alice, "operation": {"accesses": [read], "properties": []}}
	got.effect == "Deny"
}

connect(caller) := got if {
	got := doorward.connect with data.set as policies with input as {"caller": caller}
}

test_connect if connect(alice).policies == {0}

test_connect_needs_a_rule_that_lets_through if connect({"user": "eve", "groups": ["dba"], "provider": "corp"}).policies == set()
