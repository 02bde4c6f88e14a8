package doorward.policy_test

import data.doorward.policy

alice := {
	"user": "alice",
	"groups": ["analysts"],
	"provider": "company",
	"issuer": "https://id.example.com",
	"subject": "42",
	"kind": "Human",
	"claims": {},
	"delegation": [],
}

# Wednesday, 15 July 2026, 12:00 UTC, from the company's network.
asked(caller, accesses) := {
	"caller": caller,
	"client": "10.1.2.3",
	"time": {"rfc3339": "2026-07-15T12:00:00Z", "ns": 1784116800000000000},
	"connection": {"namespace": "shop", "name": "shop-db", "labels": {}},
	"operation": {"accesses": accesses, "properties": []},
}

to(action, resource) := {"action": action, "resource": resource, "indirect": false}

read := to("select", "public.orders")

change := to("update", "public.orders")

removal := to("delete", "public.orders")

test_reading if {
	policy.allow == {read} with input as asked(alice, [read])
	policy.deny == set() with input as asked(alice, [read])
}

test_large_tables_while_on_call if {
	events := to("select", "public.events")
	policy.allow == set() with input as asked(alice, [events])

	olga := object.union(alice, {"groups": ["oncall"]})
	policy.allow == {events} with input as asked(olga, [events])
}

test_changes_by_people if {
	policy.allow == {change} with input as asked(alice, [change])

	job := object.union(alice, {"kind": "Workload"})
	policy.allow == set() with input as asked(job, [change])
}

test_changes_in_working_hours if {
	late := object.union(asked(alice, [change]), {"time": {"rfc3339": "2026-07-15T18:00:00Z", "ns": 1784138400000000000}})
	policy.deny == {"shop-db is changed in working hours only, not at 2026-07-15T18:00:00Z"} with input as late
}

test_hours_of_the_connection if {
	zoned := object.union(asked(alice, [change]), {
		"connection": {"labels": {"time-zone": "Asia/Tokyo"}},
		"time": {"rfc3339": "2026-07-15T12:00:00Z"},
	})
	count(policy.deny) == 1 with input as zoned
}

test_changes_from_the_company if {
	unknown := object.union(asked(alice, [change]), {"client": ""})
	policy.deny == {"changes come from the company's network"} with input as unknown

	elsewhere := object.union(asked(alice, [change]), {"client": "192.0.2.1"})
	policy.deny == {"changes come from the company's network"} with input as elsewhere
}

test_a_lead_looks_at_deletions if {
	policy.require_approval == set() with input as asked(alice, [read])

	approvals := policy.require_approval with input as asked(alice, [removal])
	held := {[approval.access, approval.approvers] | some approval in approvals}
	held == {[removal, [{"kind": "Group", "name": "leads"}]]}
}
