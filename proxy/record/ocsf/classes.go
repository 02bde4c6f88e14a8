// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ocsf

import (
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// class is a class with its category.
type class struct {
	categoryUID, uid int
	category, name   string
}

var (
	baseEvent            = class{0, 0, "Uncategorized", "Base Event"}
	detectionFinding     = class{2, 2004, "Findings", "Detection Finding"}
	authentication       = class{3, 3002, "Identity & Access Management", "Authentication"}
	applicationLifecycle = class{6, 6002, "Application Activity", "Application Lifecycle"}
	apiActivity          = class{6, 6003, "Application Activity", "API Activity"}
	datastoreActivity    = class{6, 6005, "Application Activity", "Datastore Activity"}
)

// named is an enumerated value with its caption.
type named struct {
	id   int
	name string
}

var (
	informational = named{1, "Informational"}
	low           = named{2, "Low"}
	medium        = named{3, "Medium"}
	high          = named{4, "High"}

	unknown = named{0, "Unknown"}
	success = named{1, "Success"}
	failure = named{2, "Failure"}
)

// other is the value for what OCSF has no word for, with our own.
func other(name string) named { return named{99, name} }

func newEvent(d *record.Document, version string) *event {
	e := &event{
		Time:     d.Time.UnixMilli(),
		Metadata: newMetadata(d, version),
		Unmapped: newUnmapped(d),
	}
	e.status(success)
	e.severity(informational)
	switch d.Type {
	case record.AuthenticationFailed:
		e.authentication(d, named{1, "Logon"})
		e.status(failure)
		e.severity(medium)
		e.denied()
	case record.SessionRefused:
		e.authentication(d, named{1, "Logon"})
		e.status(failure)
		e.severity(medium)
		e.denied()
	case record.SessionStart:
		e.authentication(d, named{1, "Logon"})
		e.control(named{1, "Allowed"}, named{1, "Allowed"})
	case record.AccessReviewed:
		e.reviewed(d)
	case record.SessionEnd:
		e.authentication(d, named{2, "Logoff"})
		if d.ReasonCode == record.EndAdvisory {
			// Somebody should look; nothing was blocked.
			e.severity(medium)
		}
	case record.OperationDecided:
		e.operation(d)
		e.decided(d)
	case record.OperationHeld:
		e.held(d)
	case record.OperationResult:
		e.operation(d)
		e.result(d)
	case record.ProxyStart:
		e.lifecycle(d, named{3, "Start"})
	case record.ProxyStop:
		e.lifecycle(d, named{4, "Stop"})
	case record.Recovery:
		e.lifecycle(d, other(string(d.Type)))
		e.severity(medium)
	case record.SnapshotApplied:
		e.lifecycle(d, named{8, "Update"})
	case record.SnapshotRefused:
		e.lifecycle(d, named{8, "Update"})
		e.status(failure)
		e.severity(high)
	case record.Checkpoint, record.KeyRotated:
		e.lifecycle(d, other(string(d.Type)))
	case record.TargetWatched:
		e.lifecycle(d, other(string(d.Type)))
	case record.ForeignLogin:
		e.found(d)
	case record.SharedCredential:
		e.shared(d)
	case record.RecordingRead:
		e.read(d)
	case record.RecordingChunk, record.RecordingEnd:
		e.class(baseEvent, other(string(d.Type)))
	default:
		// A type of a later version: nothing is known of it but that it is one.
		e.class(baseEvent, other(string(d.Type)))
		e.status(unknown)
		e.severity(unknown)
	}
	e.tell(d)
	return e
}

func (e *event) class(c class, activity named) {
	if activity.name == "" {
		activity.name = "Other"
	}
	e.CategoryUID, e.CategoryName, e.ClassUID, e.ClassName = c.categoryUID, c.category, c.uid, c.name
	e.ActivityID, e.ActivityName = activity.id, activity.name
	e.TypeUID, e.TypeName = c.uid*100+activity.id, c.name+": "+activity.name
}

func (e *event) status(s named)   { e.StatusID, e.Status = s.id, s.name }
func (e *event) severity(s named) { e.SeverityID, e.Severity = s.id, s.name }

// control sets what the profile security_control has.
func (e *event) control(action, disposition named) {
	e.ActionID, e.Action = action.id, action.name
	e.DispositionID, e.Disposition = disposition.id, disposition.name
	e.Metadata.Profiles = []string{"security_control"}
}

func (e *event) denied() { e.control(named{2, "Denied"}, named{2, "Blocked"}) }

// tell sets the texts for readers, and the rules that a decision rests on.
func (e *event) tell(d *record.Document) {
	text := d.Reason
	if d.Decision != nil {
		if d.Decision.Message != "" {
			text = d.Decision.Message
		}
		for _, r := range d.Decision.Rules {
			e.Authorizations = append(e.Authorizations, authorization{Decision: d.Decision.Effect, Policy: newPolicy(r)})
		}
		if len(e.Authorizations) == 0 && d.Decision.Effect != "" {
			e.Authorizations = []authorization{{Decision: d.Decision.Effect}}
		}
		e.Metadata.Profiles = []string{"security_control"}
	}
	e.Message = e.ActivityName
	if d.Type != "" {
		e.Message = string(d.Type)
	}
	if text != "" {
		e.Message += ": " + text
	}
	e.StatusDetail = d.Reason
	if e.StatusCode == "" {
		e.StatusCode = string(d.ReasonCode)
	}
}

func (e *event) authentication(d *record.Document, activity named) {
	e.class(authentication, activity)
	e.Actor, e.SrcEndpoint = newActor(d), newEndpoint(d)
	e.User = newUser(d.Actor)
	if e.User == nil {
		e.User = nobody()
	}
	if d.Session != "" {
		e.Session = &session{UID: d.Session}
	}
	service := connectionEntity(d)
	e.Service = &service
	if d.Actor != nil && d.Actor.Method != "" {
		p := authProtocol(d.Actor.Method)
		e.AuthProtocolID, e.AuthProtocol = p.id, p.name
	}
	e.LogonTypeID, e.LogonType, e.IsRemote = 3, "Network", true
}

// operation makes an event of Datastore Activity where the record names the
// protocol of a database, else one of API Activity.
func (e *event) operation(d *record.Document) {
	o := d.Operation
	if o == nil {
		o = &record.OperationDocument{}
	}
	e.Actor, e.SrcEndpoint = someActor(d), someEndpoint(d)
	if kind, ok := databases[o.Protocol]; ok {
		e.class(datastoreActivity, activityOf(o, datastoreActivities))
		e.TypeID, e.Type = 1, "Database"
		c := connectionEntity(d)
		e.Database = &database{Name: c.Name, UID: c.UID, TypeID: kind.id, Type: kind.name}
		if o.Statement != "" {
			e.QueryInfo = &queryInfo{Name: o.Kind, UID: o.Digest, QueryString: o.Statement}
			e.Unmapped.Operation.Statement = ""
		}
		return
	}
	e.class(apiActivity, activityOf(o, apiActivities))
	name := o.Kind
	if name == "" {
		name = string(d.Type)
	}
	e.API = &api{Operation: name, Service: connectionEntity(d)}
	if o.Protocol != "" {
		e.API.Group = &group{Name: o.Protocol}
	}
	for _, a := range o.Accesses {
		if a.Resource != "" {
			e.Resources = append(e.Resources, resource{Name: a.Resource})
		}
	}
}

// decided says whether the operation was let through. What came of it is in
// the event of its result.
func (e *event) decided(d *record.Document) {
	effect := policy.Effect("")
	if d.Decision != nil {
		effect = policy.Effect(d.Decision.Effect)
	}
	switch effect {
	case policy.Allow:
		e.status(other("Allowed"))
		e.control(named{1, "Allowed"}, named{1, "Allowed"})
	case policy.RequireApproval:
		// It is decided only after the approval was given.
		e.status(other("Approved"))
		e.control(named{1, "Allowed"}, named{8, "Approved"})
	case policy.Deny:
		e.status(failure)
		e.severity(medium)
		e.denied()
	default:
		e.status(unknown)
	}
}

// held is the creation of an ApprovalRequest, through the Kubernetes API.
func (e *event) held(d *record.Document) {
	e.class(apiActivity, named{1, "Create"})
	e.severity(low)
	e.Actor, e.SrcEndpoint = someActor(d), someEndpoint(d)
	e.API = &api{Operation: "create approvalrequests", Group: &group{Name: "doorward.dev"}, Service: entity{Name: "Doorward"}}
	if d.Approval != nil && d.Approval.Request != "" {
		e.Resources = []resource{{Name: d.Approval.Request, UID: d.Approval.UID, Type: "ApprovalRequest"}}
	}
	e.control(other("Held"), named{14, "Delayed"})
}

// reviewed is a question about access: nothing was done, whatever the answer is.
func (e *event) reviewed(d *record.Document) {
	e.class(apiActivity, named{2, "Read"})
	e.Actor, e.SrcEndpoint = someActor(d), someEndpoint(d)
	e.API = &api{Operation: "create selfrulesreviews", Group: &group{Name: "review.doorward.dev"}, Service: connectionEntity(d)}
	if d.Operation != nil {
		e.API.Operation = "create selfaccessreviews"
		for _, a := range d.Operation.Accesses {
			if a.Resource != "" {
				e.Resources = append(e.Resources, resource{Name: a.Resource})
			}
		}
	}
	// The question is what was allowed, whatever the answer to it is.
	e.control(named{1, "Allowed"}, named{1, "Allowed"})
	switch {
	case d.Decision == nil:
		e.status(failure)
		e.severity(low)
		e.denied()
	case policy.Effect(d.Decision.Effect) == policy.Deny:
		e.severity(low)
	}
}

// read is a request for the recording of a session.
func (e *event) read(d *record.Document) {
	e.class(apiActivity, named{2, "Read"})
	e.Actor, e.SrcEndpoint = someActor(d), someEndpoint(d)
	e.API = &api{Operation: "get auditsessions/recording", Group: &group{Name: "doorward.dev"}, Service: connectionEntity(d)}
	if d.Read != nil && d.Read.Session != "" {
		e.Resources = []resource{{Name: d.Read.Session, Type: "AuditSession"}}
	}
	e.severity(low)
	if d.Decision == nil || policy.Effect(d.Decision.Effect) != policy.Allow {
		e.status(failure)
		e.severity(medium)
		e.denied()
		return
	}
	e.control(named{1, "Allowed"}, named{1, "Allowed"})
}

func (e *event) result(d *record.Document) {
	if d.Result == nil {
		e.status(unknown)
		return
	}
	switch d.Result.Outcome {
	case "Succeeded":
	case "Failed":
		e.status(failure)
	case "Unknown", "":
		e.status(unknown)
	default:
		e.status(other(d.Result.Outcome))
	}
	e.Duration = d.Result.DurationNanoseconds / 1e6
	e.StatusCode = d.Result.ErrorCode
	if e.API != nil && e.StatusID == failure.id && d.Result.ErrorCode != "" {
		e.API.Response = &response{Error: d.Result.ErrorCode}
	}
}

func (e *event) lifecycle(d *record.Document, activity named) {
	e.class(applicationLifecycle, activity)
	app := e.Metadata.Product
	app.UID = d.Log
	e.App = &app
}
