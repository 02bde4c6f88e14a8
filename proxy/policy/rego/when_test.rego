# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0

# When a policy is in force.
package doorward_when_test

import data.doorward

with_conditions(conditions) := {
	"users": {"alice": [{"policy": 0, "provider": ""}]},
	"groups": {},
	"others": [],
	"when": [conditions],
	"cluster": [],
	"audit": [],
	"connects": [0],
	"exempt": [],
}

alice := {"user": "alice", "groups": [], "provider": "corp", "kind": "Human", "claims": {}, "delegation": []}

answer(conditions, moment, client) := answer_of(conditions, moment, client, false)

answer_of(conditions, moment, client, shared) := got if {
	got := doorward.standing with data.set as with_conditions(conditions)
		with input as {
			"caller": alice,
			"at": {"time": time.parse_rfc3339_ns(moment), "client": client, "sharedCredential": shared},
			"audit": false,
		}
}

# stands is what decides; lapsed is for people.
stands(conditions, moment, client) := object.remove(answer(conditions, moment, client), ["lapsed"])

lapsed(conditions, moment, client) := answer(conditions, moment, client).lapsed

# on says whether the policy restricts and permits then; off that it does neither, and
# stays known as one that is about the caller.
on(conditions, moment) if stands(conditions, moment, "10.1.2.3") == {
	"matched": {0}, "bound": {0}, "granting": {0},
	"connects": {0}, "exempt": set(),
}

off(conditions, moment) if stands(conditions, moment, "10.1.2.3") == nothing

nothing := {"matched": {0}, "bound": set(), "granting": set(), "connects": set(), "exempt": set()}

in_zone(zone, windows) := {"timeZone": zone, "windows": windows}

window(days, start, end) := {"days": days, "start": start, "end": end}

weekdays := ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]

every_day := array.concat(weekdays, ["Saturday", "Sunday"])

at(hours, minutes) := (hours * 60) + minutes

# 2026-07-15 is a Wednesday.
test_no_conditions if on([], "2026-07-15T12:00:00Z")

office := [in_zone("UTC", [window(weekdays, at(9, 0), at(17, 30))])]

test_window if {
	off(office, "2026-07-15T08:59:59.999999999Z")
	on(office, "2026-07-15T09:00:00Z")
	on(office, "2026-07-15T17:29:59.999999999Z")
	off(office, "2026-07-15T17:30:00Z")
}

test_weekdays if {
	every day in [13, 14, 15, 16, 17] {
		on(office, sprintf("2026-07-%dT12:00:00Z", [day]))
	}
	off(office, "2026-07-18T12:00:00Z")
	off(office, "2026-07-19T12:00:00Z")
}

whole_day := [in_zone("UTC", [window(["Wednesday"], 0, at(24, 0))])]

test_whole_day if {
	off(whole_day, "2026-07-14T23:59:59Z")
	on(whole_day, "2026-07-15T00:00:00Z")
	on(whole_day, "2026-07-15T23:59:59Z")
	off(whole_day, "2026-07-16T00:00:00Z")
}

night := [in_zone("UTC", [window(["Friday"], at(22, 0), at(6, 0))])]

test_over_midnight if {
	off(night, "2026-07-17T05:00:00Z") # Thursday's night is none
	off(night, "2026-07-17T21:59:00Z")
	on(night, "2026-07-17T22:00:00Z")
	on(night, "2026-07-18T05:59:00Z")
	off(night, "2026-07-18T06:00:00Z")
	off(night, "2026-07-18T22:00:00Z")
}

test_over_midnight_of_each_day if {
	every day in every_day {
		some i, name in every_day
		name == day
		nightly := [in_zone("UTC", [window([day], at(23, 0), at(1, 0))])]
		on(nightly, sprintf("2026-07-%dT23:30:00Z", [13 + i]))
		on(nightly, sprintf("2026-07-%dT00:30:00Z", [14 + i]))
		off(nightly, sprintf("2026-07-%dT00:30:00Z", [13 + i]))
		off(nightly, sprintf("2026-07-%dT23:30:00Z", [14 + i]))
	}
}

# An end that is not after the start is on the next day: here a day and a night.
test_end_is_the_start if {
	round := [in_zone("UTC", [window(["Wednesday"], at(12, 0), at(12, 0))])]
	off(round, "2026-07-15T11:59:00Z")
	on(round, "2026-07-15T12:00:00Z")
	on(round, "2026-07-16T11:59:00Z")
	off(round, "2026-07-16T12:00:00Z")
}

test_until_midnight if {
	evening := [in_zone("UTC", [window(["Wednesday"], at(20, 0), 0)])]
	on(evening, "2026-07-15T23:59:00Z")
	off(evening, "2026-07-16T00:00:00Z")
	off(evening, "2026-07-15T00:00:00Z")
}

test_any_window_will_do if {
	two := [in_zone("UTC", [window(["Wednesday"], 0, at(1, 0)), window(["Wednesday"], at(2, 0), at(3, 0))])]
	on(two, "2026-07-15T00:30:00Z")
	off(two, "2026-07-15T01:30:00Z")
	on(two, "2026-07-15T02:30:00Z")
}

berlin := [in_zone("Europe/Berlin", [window(every_day, at(9, 0), at(10, 0))])]

test_time_zone_in_summer if {
	on(berlin, "2026-07-15T07:00:00Z")
	off(berlin, "2026-07-15T08:00:00Z")
}

test_time_zone_in_winter if {
	off(berlin, "2026-01-15T07:00:00Z")
	on(berlin, "2026-01-15T08:00:00Z")
}

test_time_zone_moves_the_day if {
	auckland := [in_zone("Pacific/Auckland", [window(["Thursday"], 0, at(24, 0))])]
	on(auckland, "2026-07-15T12:00:00Z")
	off(auckland, "2026-07-16T12:00:00Z")
	kolkata := [in_zone("Asia/Kolkata", [window(["Thursday"], 0, at(24, 0))])]
	off(kolkata, "2026-07-15T18:29:00Z")
	on(kolkata, "2026-07-15T18:30:00Z")
}

# On 2026-03-29 clocks in Berlin go from 02:00 to 03:00 at 01:00 UTC.
test_summer_time_begins if {
	skipped := [in_zone("Europe/Berlin", [window(["Sunday"], at(2, 0), at(3, 0))])]
	off(skipped, "2026-03-29T00:59:00Z")
	off(skipped, "2026-03-29T01:00:00Z")
	across := [in_zone("Europe/Berlin", [window(["Sunday"], at(1, 30), at(3, 30))])]
	off(across, "2026-03-29T00:29:00Z")
	on(across, "2026-03-29T00:30:00Z")
	on(across, "2026-03-29T01:29:00Z")
	off(across, "2026-03-29T01:30:00Z")
}

# On 2026-10-25 clocks in Berlin go from 03:00 to 02:00 at 01:00 UTC: there are two
# hours from 02:00 to 03:00.
test_summer_time_ends if {
	twice := [in_zone("Europe/Berlin", [window(["Sunday"], at(2, 0), at(2, 30))])]
	off(twice, "2026-10-24T23:59:00Z")
	on(twice, "2026-10-25T00:00:00Z")
	off(twice, "2026-10-25T00:30:00Z")
	on(twice, "2026-10-25T01:00:00Z")
	off(twice, "2026-10-25T01:30:00Z")
}

# Of a night in which the clocks change each part is judged by its own clock.
test_night_of_the_change if {
	guard := [in_zone("Europe/Berlin", [window(["Saturday"], at(22, 0), at(2, 30))])]
	on(guard, "2026-10-24T20:00:00Z")
	on(guard, "2026-10-25T00:29:00Z")
	off(guard, "2026-10-25T00:30:00Z")
	on(guard, "2026-10-25T01:00:00Z")
	off(guard, "2026-10-25T01:30:00Z")
}

from_networks(networks) := [{"sources": networks}]

# inside and outside say what a policy with these networks does to a caller at client.
inside(networks, client) if stands(from_networks(networks), "2026-07-15T12:00:00Z", client).granting == {0}

outside(networks, client) if stands(from_networks(networks), "2026-07-15T12:00:00Z", client) == nothing

test_sources_ipv4 if {
	inside(["10.0.0.0/8"], "10.255.0.1")
	outside(["10.0.0.0/8"], "11.0.0.1")
	inside(["192.0.2.7/32"], "192.0.2.7")
	outside(["192.0.2.7/32"], "192.0.2.6")
	inside(["0.0.0.0/0"], "203.0.113.9")
}

test_sources_ipv6 if {
	inside(["2001:db8::/32"], "2001:db8:1::1")
	outside(["2001:db8::/32"], "2001:db9::1")
	inside(["fe80::/10"], "fe80::1")
}

test_sources_of_the_other_family if {
	outside(["::/0"], "10.0.0.1")
	outside(["0.0.0.0/0"], "2001:db8::1")
}

test_any_source_will_do if {
	inside(["192.0.2.0/24", "2001:db8::/32"], "2001:db8::1")
	inside(["192.0.2.0/24", "2001:db8::/32"], "192.0.2.200")
	outside(["192.0.2.0/24", "2001:db8::/32"], "198.51.100.1")
}

# Of a caller from nobody knows where what restricts holds, and what permits does not.
test_source_not_known if stands(from_networks(["10.0.0.0/8"]), "2026-07-15T12:00:00Z", "") == {
	"matched": {0}, "bound": {0}, "granting": set(),
	"connects": set(), "exempt": set(),
}

test_source_not_known_without_sources if stands(office, "2026-07-15T12:00:00Z", "").granting == {0}

test_all_conditions_must_hold if {
	both := array.concat(office, from_networks(["10.0.0.0/8"]))
	stands(both, "2026-07-15T12:00:00Z", "10.1.1.1").granting == {0}
	stands(both, "2026-07-15T12:00:00Z", "11.1.1.1") == nothing
	stands(both, "2026-07-15T18:00:00Z", "10.1.1.1") == nothing
	stands(both, "2026-07-15T18:00:00Z", "") == nothing
	stands(both, "2026-07-15T12:00:00Z", "").bound == {0}
}

test_two_schedules_must_both_hold if {
	both := array.concat(office, [in_zone("UTC", [window(["Wednesday"], 0, at(24, 0))])])
	on(both, "2026-07-15T12:00:00Z")
	off(both, "2026-07-14T12:00:00Z")
	off(both, "2026-07-15T18:00:00Z")
}

test_shared_credential if {
	condition := [{"sharedCredential": true}]
	answer_of(condition, "2026-07-15T12:00:00Z", "10.1.2.3", true).bound == {0}
	answer_of(condition, "2026-07-15T12:00:00Z", "", true).bound == {0}
	answer_of(condition, "2026-07-15T12:00:00Z", "10.1.2.3", false).bound == set()
	answer_of(condition, "2026-07-15T12:00:00Z", "10.1.2.3", false).lapsed == {[0, 0]}
	answer_of(array.concat(condition, office), "2026-07-15T18:00:00Z", "10.1.2.3", true).bound == set()
}

test_lapsed_conditions_are_named if {
	office := in_zone("UTC", [window(["Wednesday"], 540, 1020)])
	inside := {"sources": ["10.0.0.0/8"]}
	lapsed([office, inside], "2026-03-04T12:00:00Z", "10.1.2.3") == set()
	lapsed([office, inside], "2026-03-04T18:00:00Z", "10.1.2.3") == {[0, 0]}
	lapsed([office, inside], "2026-03-04T12:00:00Z", "192.0.2.1") == {[0, 1]}
	lapsed([office, inside], "2026-03-04T18:00:00Z", "") == {[0, 0], [0, 1]}
}
