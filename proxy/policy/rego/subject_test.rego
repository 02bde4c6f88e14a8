# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

# Whom a policy is about.
package doorward_subject_test

import data.doorward

# The one policy has the one subject, and a mask that exempts it.
of(subject) := {
	"users": {subject.name: [{"policy": 0, "provider": subject.provider}] | subject.kind == "User"},
	"groups": {subject.name: [{"policy": 0, "provider": subject.provider}] | subject.kind == "Group"},
	"others": [{"policy": 0, "subject": subject} | not subject.kind in {"User", "Group"}],
	"when": [[]],
	"cluster": [],
	"audit": [],
	"connects": [0],
	"exempt": [{"policy": 0, "mask": 0, "subject": subject}],
}

any_of(kind) := {"kind": kind, "name": "", "provider": ""}

named(kind, name) := {"kind": kind, "name": name, "provider": ""}

by(provider, subject) := object.union(subject, {"provider": provider})

all_of(parts) := {"kind": "AllOf", "name": "", "provider": "", "all": parts}

claim(name, prefixes, patterns) := {
	"kind": "Claim", "name": name, "provider": "",
	"values": {"prefixes": prefixes, "patterns": patterns},
}

alice := {
	"user": "alice",
	"groups": ["analysts", "berlin"],
	"provider": "corp",
	"kind": "Human",
	"claims": {"repository": ["shop/web"], "teams": ["red", "blue"], "level": ["3"], "none": []},
	"delegation": [],
}

# bot acts for alice; what it acts for came before it.
bot := object.union(alice, {
	"kind": "Agent",
	"delegation": [{"issuer": "https://id.example.com", "subject": "bot"}, {"issuer": "", "subject": "scheduler"}],
})

stands(subject, caller) := got if {
	got := doorward.standing with data.set as of(subject)
		with input as {"caller": caller, "at": {"time": 0, "client": ""}, "audit": false}
}

# restricts, permits and spares are what the policy does to the caller.
restricts(subject, caller) if stands(subject, caller).bound == {0}

permits(subject, caller) if {
	stands(subject, caller).granting == {0}
	stands(subject, caller).connects == {0}
}

spares(subject, caller) if stands(subject, caller).exempt == {[0, 0]}

# is about the caller in every way.
is(subject, caller) if {
	restricts(subject, caller)
	permits(subject, caller)
	spares(subject, caller)
}

# no is about him in none.
no(subject, caller) if stands(subject, caller) == {
	"matched": set(), "bound": set(), "granting": set(),
	"connects": set(), "exempt": set(), "lapsed": set(),
}

# holds restricts him and favours him in nothing.
holds(subject, caller) if stands(subject, caller) == {
	"matched": {0}, "bound": {0}, "granting": set(),
	"connects": set(), "exempt": set(), "lapsed": set(),
}

test_user if is(named("User", "alice"), alice)

test_user_other if no(named("User", "bob"), alice)

test_user_is_no_group if no(named("User", "analysts"), alice)

test_user_case if no(named("User", "Alice"), alice)

test_group if is(named("Group", "berlin"), alice)

test_group_other if no(named("Group", "oncall"), alice)

test_group_is_no_user if no(named("Group", "alice"), alice)

test_everyone if is(any_of("Everyone"), alice)

test_everyone_of_another_provider if no(by("other", any_of("Everyone")), alice)

test_human if is(any_of("Human"), alice)

test_workload if {
	no(any_of("Workload"), alice)
	is(any_of("Workload"), object.union(alice, {"kind": "Workload"}))
}

test_agent if {
	no(any_of("Agent"), alice)
	is(any_of("Agent"), object.union(alice, {"kind": "Agent"}))
}

test_caller_without_a_kind if {
	unknown := object.union(alice, {"kind": ""})
	every kind in ["Human", "Workload", "Agent"] {
		no(any_of(kind), unknown)
	}
}

test_kind_unknown_matches_nobody if no(named("Team", "analysts"), alice)

test_provider if {
	every subject in [
		named("User", "alice"), named("Group", "berlin"), any_of("Human"), any_of("Everyone"),
		claim("level", [], [`\A3\z`]), all_of([named("User", "alice"), any_of("Human")]),
	] {
		is(subject, alice)
		is(by("corp", subject), alice)
		no(by("other", subject), alice)
		no(by("corp", subject), object.union(alice, {"provider": ""}))
	}
}

test_claim_equal if is(claim("repository", [], [`(?s)\Ashop/web\z`]), alice)

test_claim_prefix if is(claim("repository", ["shop/"], []), alice)

test_claim_pattern if is(claim("repository", [], [`(?s)\A.*/web\z`]), alice)

test_claim_one_of_several_globs if is(claim("repository", ["x"], [`\Ay\z`, `(?s)\A.*/web\z`]), alice)

test_claim_other_value if no(claim("repository", ["bank/"], [`\Ashop\z`]), alice)

test_claim_one_of_a_list if {
	is(claim("teams", [], [`\Ablue\z`]), alice)
	no(claim("teams", [], [`\Agreen\z`]), alice)
}

test_claim_absent if no(claim("project", [""], []), alice)

test_claim_empty_list if no(claim("none", [""], []), alice)

test_claim_is_no_group if no(claim("groups", ["analysts"], []), alice)

test_all_of if is(all_of([named("Group", "analysts"), named("Group", "berlin"), any_of("Human")]), alice)

test_all_of_lacks_one if no(all_of([named("Group", "analysts"), named("Group", "oncall")]), alice)

test_all_of_claims if {
	is(all_of([claim("teams", ["r"], []), claim("teams", ["b"], []), any_of("Everyone")]), alice)
	no(all_of([claim("teams", ["r"], []), claim("repository", ["b"], [])]), alice)
}

# Delegation: what restricts follows the person.
test_delegated_is_held_by_what_holds_the_person if {
	every subject in [
		named("User", "alice"), named("Group", "analysts"), any_of("Human"), any_of("Everyone"),
		claim("teams", ["red"], []), all_of([named("User", "alice"), any_of("Human")]),
	] {
		holds(subject, bot)
	}
}

test_delegated_is_held_as_what_it_is if holds(any_of("Agent"), bot)

test_delegated_is_not_held_for_others if {
	no(named("User", "bob"), bot)
	no(named("Group", "oncall"), bot)
	no(any_of("Workload"), bot)
}

# What permits does not, unless the subject names delegation.
test_actor if {
	is(named("Actor", "bot"), bot)
	no(named("Actor", "bot"), alice)
	no(named("Actor", "alice"), bot)
}

# RFC 8693 section 4.1: prior actors are informational only.
test_actor_is_the_current_one if no(named("Actor", "scheduler"), bot)

test_on_behalf_of_user if {
	is(named("OnBehalfOfUser", "alice"), bot)
	no(named("OnBehalfOfUser", "alice"), alice)
	no(named("OnBehalfOfUser", "bot"), bot)
	no(named("OnBehalfOfUser", "analysts"), bot)
}

test_on_behalf_of_group if {
	is(named("OnBehalfOfGroup", "berlin"), bot)
	no(named("OnBehalfOfGroup", "berlin"), alice)
	no(named("OnBehalfOfGroup", "oncall"), bot)
	no(named("OnBehalfOfGroup", "alice"), bot)
}

test_delegation_of_another_provider if {
	no(by("other", named("Actor", "bot")), bot)
	is(by("corp", named("Actor", "bot")), bot)
	no(by("other", named("OnBehalfOfUser", "alice")), bot)
}

test_all_of_with_delegation if {
	is(all_of([any_of("Agent"), named("OnBehalfOfGroup", "analysts")]), bot)
	is(all_of([named("User", "alice"), named("Actor", "bot")]), bot)
	no(all_of([named("User", "bob"), named("Actor", "bot")]), bot)
	no(all_of([any_of("Agent"), named("OnBehalfOfGroup", "analysts")]), alice)
}

# A person's kind holds whoever acts for her, and favours only her.
test_all_of_a_persons_kind_with_delegation if holds(all_of([any_of("Human"), named("Actor", "bot")]), bot)

test_several_subjects if {
	set := object.union(of(named("User", "alice")), {"others": [{"policy": 0, "subject": named("Actor", "bot")}]})
	every caller in [alice, bot] {
		got := doorward.standing with data.set as set
			with input as {"caller": caller, "at": {"time": 0, "client": ""}, "audit": false}
		got.granting == {0}
	}
}
