# METADATA
# description: |
#   Changes are made by people, in working hours, from the company's network. Reading is
#   free, of large tables only while on call; what is deleted is looked at by a lead.
# entrypoint: true
package doorward.policy

allow contains access if {
	some access in input.operation.accesses
	access.action == "select"
	not access.resource in large
}

allow contains access if {
	"oncall" in input.caller.groups
	some access in input.operation.accesses
	access.action == "select"
	access.resource in large
}

allow contains access if {
	input.caller.kind == "Human"
	some access in input.operation.accesses
	access.action in {"insert", "update"}
}

require_approval contains {
	"approvers": [{"kind": "Group", "name": "leads"}],
	"minimum": 1,
	"timeoutSeconds": 600,
	"message": sprintf("a lead looks at what is deleted from %s", [access.resource]),
	"access": access,
} if {
	some access in input.operation.accesses
	access.action == "delete"
}

deny contains message if {
	changes
	not working_hours
	message := sprintf("%s is changed in working hours only, not at %s", [input.connection.name, input.time.rfc3339])
}

deny contains "changes come from the company's network" if {
	changes
	not from_company
}

large := {"public.events", "public.clicks"}

changes if {
	some access in input.operation.accesses
	access.action in {"insert", "update", "delete"}
}

working_hours if {
	zone := object.get(input.connection.labels, "time-zone", "UTC")
	time.weekday([input.time.ns, zone]) in {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}
	[hour, _, _] := time.clock([input.time.ns, zone])
	hour >= 8
	hour < 18
}

# An address that is not known is in no network.
from_company if {
	input.client != ""
	net.cidr_contains("10.0.0.0/8", input.client)
}
