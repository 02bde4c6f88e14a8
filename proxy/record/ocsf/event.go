// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ocsf

import "github.com/doorward/doorward/proxy/record"

// event has the attributes of all classes that are written, in the order in
// which they are written. Names and numbers are those of the OCSF dictionary.
type event struct {
	CategoryUID  int    `json:"category_uid"`
	CategoryName string `json:"category_name"`
	ClassUID     int    `json:"class_uid"`
	ClassName    string `json:"class_name"`
	ActivityID   int    `json:"activity_id"`
	ActivityName string `json:"activity_name"`
	TypeUID      int    `json:"type_uid"`
	TypeName     string `json:"type_name"`
	SeverityID   int    `json:"severity_id"`
	Severity     string `json:"severity"`
	// Time and Duration are in milliseconds.
	Time         int64    `json:"time"`
	Duration     int64    `json:"duration,omitempty"`
	StatusID     int      `json:"status_id"`
	Status       string   `json:"status"`
	StatusCode   string   `json:"status_code,omitempty"`
	StatusDetail string   `json:"status_detail,omitempty"`
	Message      string   `json:"message"`
	Metadata     metadata `json:"metadata"`

	// Profile security_control.
	ActionID       int             `json:"action_id,omitempty"`
	Action         string          `json:"action,omitempty"`
	DispositionID  int             `json:"disposition_id,omitempty"`
	Disposition    string          `json:"disposition,omitempty"`
	Authorizations []authorization `json:"authorizations,omitempty"`

	Actor       *actor    `json:"actor,omitempty"`
	SrcEndpoint *endpoint `json:"src_endpoint,omitempty"`

	// Authentication.
	User           *user    `json:"user,omitempty"`
	Session        *session `json:"session,omitempty"`
	Service        *entity  `json:"service,omitempty"`
	AuthProtocolID int      `json:"auth_protocol_id,omitempty"`
	AuthProtocol   string   `json:"auth_protocol,omitempty"`
	LogonTypeID    int      `json:"logon_type_id,omitempty"`
	LogonType      string   `json:"logon_type,omitempty"`
	IsRemote       bool     `json:"is_remote,omitempty"`

	// Datastore Activity.
	TypeID    int        `json:"type_id,omitempty"`
	Type      string     `json:"type,omitempty"`
	Database  *database  `json:"database,omitempty"`
	QueryInfo *queryInfo `json:"query_info,omitempty"`

	// API Activity.
	API       *api       `json:"api,omitempty"`
	Resources []resource `json:"resources,omitempty"`

	// Application Lifecycle.
	App *product `json:"app,omitempty"`

	// Detection Finding.
	FindingInfo *findingInfo `json:"finding_info,omitempty"`
	Evidences   []evidence   `json:"evidences,omitempty"`

	Unmapped *unmapped `json:"unmapped,omitempty"`
	// RawData is the record.
	RawData string `json:"raw_data"`
}

type metadata struct {
	Version string  `json:"version"`
	Product product `json:"product"`
	// UID is the record's id, EventCode its type, LogName its log, LogVersion
	// its schema, Sequence its index, OriginalTime its time to the nanosecond.
	UID          string `json:"uid"`
	EventCode    string `json:"event_code"`
	LogProvider  string `json:"log_provider"`
	LogName      string `json:"log_name"`
	LogVersion   string `json:"log_version"`
	Sequence     int64  `json:"sequence"`
	OriginalTime string `json:"original_time"`
	// CorrelationUID is the same in all events of one operation.
	CorrelationUID string   `json:"correlation_uid,omitempty"`
	Profiles       []string `json:"profiles,omitempty"`
}

type product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	Version    string `json:"version,omitempty"`
	UID        string `json:"uid,omitempty"`
}

type authorization struct {
	Decision string        `json:"decision"`
	Policy   *policyObject `json:"policy,omitempty"`
}

type policyObject struct {
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
	Version   string `json:"version,omitempty"`
	Desc      string `json:"desc,omitempty"`
	IsApplied bool   `json:"is_applied"`
}

type actor struct {
	User    *user    `json:"user,omitempty"`
	Session *session `json:"session,omitempty"`
	IDP     *idp     `json:"idp,omitempty"`
}

type user struct {
	Name   string  `json:"name,omitempty"`
	UID    string  `json:"uid,omitempty"`
	UIDAlt string  `json:"uid_alt,omitempty"`
	TypeID int     `json:"type_id"`
	Type   string  `json:"type"`
	Groups []group `json:"groups,omitempty"`
}

type group struct {
	Name string `json:"name"`
}

type session struct {
	UID string `json:"uid"`
}

type idp struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer,omitempty"`
}

type endpoint struct {
	IP   string `json:"ip,omitempty"`
	Port int    `json:"port,omitempty"`
	Name string `json:"name,omitempty"`
}

type entity struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

type database struct {
	Name   string `json:"name"`
	UID    string `json:"uid,omitempty"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type queryInfo struct {
	Name        string `json:"name,omitempty"`
	UID         string `json:"uid,omitempty"`
	QueryString string `json:"query_string"`
}

type api struct {
	Operation string    `json:"operation"`
	Group     *group    `json:"group,omitempty"`
	Service   entity    `json:"service"`
	Response  *response `json:"response,omitempty"`
}

type response struct {
	Error string `json:"error"`
}

type resource struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
	Type string `json:"type,omitempty"`
}

type findingInfo struct {
	UID   string   `json:"uid"`
	Title string   `json:"title"`
	Desc  string   `json:"desc,omitempty"`
	Types []string `json:"types,omitempty"`
}

// evidence is what a finding rests on.
type evidence struct {
	Actor       *actor    `json:"actor,omitempty"`
	SrcEndpoint *endpoint `json:"src_endpoint,omitempty"`
	DstEndpoint *endpoint `json:"dst_endpoint,omitempty"`
}

// unmapped has the members of the record that OCSF has no attributes for,
// under the record's own names.
type unmapped struct {
	Session     string                     `json:"session,omitempty"`
	Connection  *record.ConnectionDocument `json:"connection,omitempty"`
	Revision    int64                      `json:"revision,omitempty"`
	Actor       *record.ActorDocument      `json:"actor,omitempty"`
	OperationID uint64                     `json:"operationID,omitempty"`
	Operation   *record.OperationDocument  `json:"operation,omitempty"`
	Decision    *record.DecisionDocument   `json:"decision,omitempty"`
	Approval    *record.ApprovalDocument   `json:"approval,omitempty"`
	Result      *record.ResultDocument     `json:"result,omitempty"`
	Attributes  []record.AttributeDocument `json:"attributes,omitempty"`
	Recording   *record.RecordingDocument  `json:"recording,omitempty"`
	Read        *record.ReadDocument       `json:"read,omitempty"`
	Checkpoint  *record.CheckpointDocument `json:"checkpoint,omitempty"`
	Rotation    *record.RotationDocument   `json:"rotation,omitempty"`
}
