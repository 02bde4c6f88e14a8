// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire is what a reader, the manager and a proxy say to each other when the
// recording of a session is read: the reader asks the manager, the manager posts to the
// proxy who asks and what was decided, the proxy puts it on record and answers with the
// records, in the form of an extract.
package wire

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"sigs.k8s.io/json"
)

const (
	// Path is where a Request is posted to.
	Path = "/v1/recordings"
	// MaxRequest is its size in bytes: whoever has more groups than fit reads nothing.
	MaxRequest = 256 << 10
)

// ServiceName is the Service of the manager, in the operator's namespace, where readers
// ask for recordings, and ServicePort its port.
const (
	ServiceName = "doorward-manager-recordings"
	ServicePort = 8443
)

// firstPort is where proxies give recordings by convention.
const firstPort = 8447

// Port is where a proxy gives recordings by convention: 8447, or the next that it has not
// taken already.
func Port(taken ...int32) int32 {
	port := int32(firstPort)
	for slices.Contains(taken, port) {
		port++
	}
	return port
}

// LogHeader is the header of an answer that names the log that the AuditSession is of.
const LogHeader = "Doorward-Log"

// ServerName is the name that readers hold the manager's certificate against, however
// they get to its port. No Connection of another namespace can have it.
func ServerName(namespace string) string { return ServiceName + "." + namespace + ".svc" }

// RecordingPath is where a reader asks for the recording of an AuditSession.
func RecordingPath(namespace, name string) string {
	return "/v1/namespaces/" + namespace + "/auditsessions/" + name + "/recording"
}

// FollowQuery is what a reader adds who asks for what comes, too.
const FollowQuery = "follow=true"

// The decisions.
const (
	Allow = "Allow"
	Deny  = "Deny"
)

// Request is who wants to read a recording.
type Request struct {
	// Namespace and Name are the Connection's: a proxy of another refuses.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Session is the session's id, Log that of its log, FirstRecord the index of its
	// first record there.
	Session     string `json:"session"`
	Log         string `json:"log"`
	FirstRecord int64  `json:"firstRecord"`
	Reader      Reader `json:"reader"`
	// ClientAddress is the reader's, as host:port.
	ClientAddress string `json:"clientAddress"`
	// Decision is Allow or Deny. With Deny, the answer is empty once it is on record.
	Decision string `json:"decision"`
	// Reason is the authorizer's.
	Reason string `json:"reason,omitempty"`
	// Follow asks for what comes, too, while the session goes on.
	Follow bool `json:"follow,omitempty"`
	// Unrecorded is the number of readings that were refused and are on no record.
	Unrecorded int64 `json:"unrecorded,omitempty"`
}

// Reader is who asks, as the API server has authenticated them.
type Reader struct {
	Username string              `json:"username"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// Read reads a Request strictly. The error names what is wrong.
func Read(from io.Reader) (*Request, error) {
	body, err := io.ReadAll(io.LimitReader(from, MaxRequest+1))
	if err != nil {
		return nil, fmt.Errorf("the request did not come as a whole: %w", err)
	}
	if len(body) > MaxRequest {
		return nil, fmt.Errorf("the request has more than %d bytes", MaxRequest)
	}
	var r Request
	strict, err := json.UnmarshalStrict(body, &r)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("no request for a recording: %w", err)
	}
	switch {
	case r.Namespace == "" || r.Name == "" || r.Session == "" || r.Log == "" || r.FirstRecord < 0 || r.Unrecorded < 0:
		return nil, errors.New("no request for a recording: a member is missing")
	case r.Reader.Username == "":
		return nil, errors.New("no request for a recording: it names no reader")
	case r.Decision != Allow && r.Decision != Deny:
		return nil, fmt.Errorf("no request for a recording: decision %.32q", r.Decision)
	}
	return &r, nil
}

// Status is the answer where there is no recording, in the form of Kubernetes' own.
type Status struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Status is Failure.
	Status  string `json:"status"`
	Message string `json:"message"`
	// Reason is a stable word, Code the HTTP status.
	Reason string `json:"reason"`
	Code   int    `json:"code"`
}

// NewStatus is a Status.
func NewStatus(code int, reason, message string) Status {
	return Status{APIVersion: "v1", Kind: "Status", Status: "Failure", Message: message, Reason: reason, Code: code}
}

// The reasons of a proxy.
const (
	// ReasonGone: retention has taken the records.
	ReasonGone = "Gone"
	// ReasonNotFound: the proxy's log has no such session.
	ReasonNotFound = "NotFound"
	// ReasonUnrecorded: the reading could not be put on record, so nothing is read.
	ReasonUnrecorded = "NotRecorded"
	// ReasonNoSnapshot: the proxy does not know yet what is in force.
	ReasonNoSnapshot = "NoSnapshot"
	// ReasonBusy: too many readings at a time.
	ReasonBusy = "TooManyRequests"
	// ReasonInvalid: the request was not understood.
	ReasonInvalid = "BadRequest"
)
