// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire is the form of questions about access and of their answers, which
// proxies and their clients have in common: JSON objects in the style of Kubernetes'
// SelfSubjectAccessReview and SelfSubjectRulesReview. No API server knows or stores
// them.
package wire

import "time"

// What each object says of itself, and where it is posted to.
const (
	Version    = "review.doorward.dev/v1alpha1"
	AccessKind = "SelfAccessReview"
	RulesKind  = "SelfRulesReview"
	AccessPath = "/apis/review.doorward.dev/v1alpha1/selfaccessreviews"
	RulesPath  = "/apis/review.doorward.dev/v1alpha1/selfrulesreviews"
	// MediaType is that of questions and answers.
	MediaType = "application/json"
)

// port is where proxies answer by convention.
const port = 8444

// Port is where a proxy answers, by the port that it serves: 8444, or 8445 where it serves
// that one. Managed proxies keep to it; of External ones the admin decides.
func Port(served int32) int32 {
	if served == port {
		return port + 1
	}
	return port
}

// PortName is the name of that port of a Managed proxy's Service.
const PortName = "review"

// Bounds of a question.
const (
	// MaxBody is its size in bytes.
	MaxBody       = 32 << 10
	MaxAccesses   = 64
	MaxProperties = 32
	// MaxWord is the length of an action, a property or a name, MaxResource that of a
	// resource, in bytes.
	MaxWord     = 253
	MaxResource = 1024
	// MaxAnswer is the size in bytes of any answer.
	MaxAnswer = 4 << 20
)

// TypeMeta says which object it is.
type TypeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// SelfAccessReview asks whether the caller may do one operation.
type SelfAccessReview struct {
	TypeMeta
	Spec   AccessSpec    `json:"spec"`
	Status *AccessStatus `json:"status,omitempty"`
}

// AccessSpec is the operation, in the words of the Connection's protocol.
type AccessSpec struct {
	Connection Connection `json:"connection,omitzero"`
	// Accesses is everything the operation does, one at least.
	Accesses   []Access `json:"accesses"`
	Properties []string `json:"properties,omitempty"`
}

// Access is an action, and the resource it is done to where it has one.
type Access struct {
	Action   string `json:"action"`
	Resource string `json:"resource,omitempty"`
}

// Connection names one. In a question it is the one that is meant: a proxy that
// answers for another refuses. What is empty is not looked at.
type Connection struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

// AccessStatus is the answer.
type AccessStatus struct {
	Connection Connection `json:"connection"`
	// Effect is Allow, RequireApproval or Deny.
	Effect string `json:"effect"`
	// Approvals are the scopes of the approvals that it needs and that the caller does not
	// have: Session, which is asked for in advance, and Operation, for which it is held.
	Approvals []string `json:"approvals,omitempty"`
	// Reason is why it is refused, as a stable word: NotAllowed, Denied,
	// TargetRoleConflict, RequesterNotMapped or ApprovalRequired.
	Reason string `json:"reason,omitempty"`
	// Message is the admins' text for callers.
	Message string `json:"message,omitempty"`
	// Until is when a session that began now would end at the latest.
	Until time.Time `json:"until,omitzero"`
	// Masks hide something of what was asked about.
	Masks  []Mask `json:"masks,omitempty"`
	Limits Limits `json:"limits,omitzero"`
}

// SelfRulesReview asks what the caller may do.
type SelfRulesReview struct {
	TypeMeta
	Spec   RulesSpec    `json:"spec"`
	Status *RulesStatus `json:"status,omitempty"`
}

// RulesSpec is a question without an operation.
type RulesSpec struct {
	Connection Connection `json:"connection,omitzero"`
}

// RulesStatus is the answer.
type RulesStatus struct {
	Connection Connection `json:"connection"`
	// Connect is Allow where the caller may have a session, else Deny; Reason and
	// Message say why not.
	Connect string    `json:"connect"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	// Rules are what is permitted, each by itself.
	Rules []Rule `json:"rules"`
	// Restricted says that other rules refuse some of it, Incomplete that there is more
	// that cannot be listed. Ask about an operation.
	Restricted bool   `json:"restricted,omitempty"`
	Incomplete bool   `json:"incomplete,omitempty"`
	Masks      []Mask `json:"masks,omitempty"`
	Limits     Limits `json:"limits,omitzero"`
}

// Rule permits actions on resources to operations that have all of the properties. In
// actions and resources '*' stands for any run of characters; no resource stands for any.
type Rule struct {
	Effect     string   `json:"effect"`
	Actions    []string `json:"actions"`
	Resources  []string `json:"resources,omitempty"`
	Properties []string `json:"properties,omitempty"`
}

// Mask is what is masked: fields, as globs, or kinds of content wherever they are found.
type Mask struct {
	Fields []string `json:"fields,omitempty"`
	Detect []string `json:"detect,omitempty"`
}

// Limits bound sessions and answers; zero is none.
type Limits struct {
	SessionSeconds      int64    `json:"sessionSeconds,omitempty"`
	IdleSeconds         int64    `json:"idleSeconds,omitempty"`
	ConcurrentSessions  int64    `json:"concurrentSessions,omitempty"`
	OutliveTokenSeconds int64    `json:"outliveTokenSeconds,omitempty"`
	RowsPerStatement    int64    `json:"rowsPerStatement,omitempty"`
	BytesPerStatement   int64    `json:"bytesPerStatement,omitempty"`
	Windows             []Window `json:"windows,omitempty"`
}

// IsZero says that there are none.
func (l Limits) IsZero() bool {
	return l.SessionSeconds|l.IdleSeconds|l.ConcurrentSessions|l.OutliveTokenSeconds|l.RowsPerStatement|l.BytesPerStatement == 0 && len(l.Windows) == 0
}

// Window bounds what is taken within so many seconds.
type Window struct {
	Seconds    int32 `json:"seconds"`
	Rows       int64 `json:"rows,omitempty"`
	Bytes      int64 `json:"bytes,omitempty"`
	Operations int64 `json:"operations,omitempty"`
}

// Status is the answer where there is none, in the form of Kubernetes' own.
type Status struct {
	TypeMeta
	// Status is Failure.
	Status  string `json:"status"`
	Message string `json:"message"`
	// Reason is a stable word, Code the HTTP status.
	Reason string `json:"reason"`
	Code   int    `json:"code"`
}

// StatusMeta is what a Status says of itself.
var StatusMeta = TypeMeta{APIVersion: "v1", Kind: "Status"}
