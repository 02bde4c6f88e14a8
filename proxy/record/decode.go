// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrMalformed is wrapped by the errors for bytes that are no record.
var ErrMalformed = errors.New("malformed record")

// Record is a record as it stands in its log.
type Record struct {
	Position Position
	// JSON is the record's one line without line feed: the leaf of the log's
	// tree. Never modify it.
	JSON []byte
}

// ID is the record's stable name: log id, a slash, index. Sinks that may get a
// record twice know it by this.
func (p Position) ID() string {
	return p.LogID + "/" + strconv.FormatInt(p.Index, 10)
}

// Document is the JSON form of an Event, member by member. docs/record.md
// describes it.
type Document struct {
	Schema        string              `json:"schema"`
	Log           string              `json:"log"`
	Index         int64               `json:"index"`
	Previous      Hash                `json:"previous"`
	Time          time.Time           `json:"time"`
	Type          Type                `json:"type"`
	Session       string              `json:"session,omitempty"`
	Connection    *ConnectionDocument `json:"connection,omitempty"`
	Revision      int64               `json:"revision,omitempty"`
	Actor         *ActorDocument      `json:"actor,omitempty"`
	ClientAddress string              `json:"clientAddress,omitempty"`
	OperationID   uint64              `json:"operationID,omitempty"`
	Operation     *OperationDocument  `json:"operation,omitempty"`
	Decision      *DecisionDocument   `json:"decision,omitempty"`
	Approval      *ApprovalDocument   `json:"approval,omitempty"`
	Result        *ResultDocument     `json:"result,omitempty"`
	Reason        string              `json:"reason,omitempty"`
	ReasonCode    Reason              `json:"reasonCode,omitempty"`
	Attributes    []AttributeDocument `json:"attributes,omitempty"`
	Recording     *RecordingDocument  `json:"recording,omitempty"`
	Read          *ReadDocument       `json:"read,omitempty"`
	Checkpoint    *CheckpointDocument `json:"checkpoint,omitempty"`
	Rotation      *RotationDocument   `json:"rotation,omitempty"`
}

// RecordingDocument is a part of a recording, or its end.
type RecordingDocument struct {
	ID       string `json:"id,omitempty"`
	Format   string `json:"format,omitempty"`
	Sequence int64  `json:"sequence"`
	Digest   string `json:"digest,omitempty"`
	Data     string `json:"data,omitempty"`
}

// ReadDocument is which recording somebody asked for.
type ReadDocument struct {
	Session     string `json:"session,omitempty"`
	FirstRecord int64  `json:"firstRecord"`
	Unrecorded  int64  `json:"unrecorded,omitempty"`
	Follow      bool   `json:"follow,omitempty"`
}

// CheckpointDocument is the log's signed word on the records before it.
type CheckpointDocument struct {
	Size int64  `json:"size"`
	Note string `json:"note"`
	Key  string `json:"key,omitempty"`
}

// RotationDocument introduces the log's next key.
type RotationDocument struct {
	Key  string `json:"key"`
	Note string `json:"note"`
}

// ConnectionDocument names the Connection object.
type ConnectionDocument struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// ActorDocument is the proven caller.
type ActorDocument struct {
	Provider       string          `json:"provider,omitempty"`
	Issuer         string          `json:"issuer,omitempty"`
	Subject        string          `json:"subject,omitempty"`
	UserName       string          `json:"userName,omitempty"`
	KubernetesUser string          `json:"kubernetesUser,omitempty"`
	Groups         []string        `json:"groups,omitempty"`
	Kind           string          `json:"kind,omitempty"`
	Claims         []ClaimDocument `json:"claims,omitempty"`
	AbsentClaims   []string        `json:"absentClaims,omitempty"`
	Delegation     []ActorDocument `json:"delegation,omitempty"`
	Method         string          `json:"method,omitempty"`
	// Credential is the name of the GatewayCredential that was presented; ProvenBy is
	// the method by which its owner had been proven when it was issued.
	Credential string    `json:"credential,omitempty"`
	ProvenBy   string    `json:"provenBy,omitempty"`
	ProofID    string    `json:"proofID,omitempty"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`
}

// ClaimDocument is a claim of the caller's token with its values.
type ClaimDocument struct {
	Name   string   `json:"name,omitempty"`
	Values []string `json:"values,omitempty"`
}

// OperationDocument is what the caller asked. Truncated and
// NormalizedTruncated are the full lengths in bytes where the text was cut,
// FieldsTruncated is the number of all fields where not all are there.
type OperationDocument struct {
	Protocol            string           `json:"protocol,omitempty"`
	Kind                string           `json:"kind,omitempty"`
	Statement           string           `json:"statement,omitempty"`
	Truncated           int64            `json:"truncated,omitempty"`
	Digest              string           `json:"digest,omitempty"`
	Normalized          string           `json:"normalized,omitempty"`
	NormalizedTruncated int64            `json:"normalizedTruncated,omitempty"`
	Accesses            []AccessDocument `json:"accesses,omitempty"`
	Properties          []string         `json:"properties,omitempty"`
	Fields              []string         `json:"fields,omitzero"`
	FieldsTruncated     int64            `json:"fieldsTruncated,omitempty"`
	Parameters          int              `json:"parameters,omitempty"`
	ParametersDigest    string           `json:"parametersDigest,omitempty"`
	ParameterText       string           `json:"parameterText,omitempty"`
	ParameterTruncated  int64            `json:"parameterTextTruncated,omitempty"`
}

// AccessDocument is one access of an operation.
type AccessDocument struct {
	Action   string `json:"action,omitempty"`
	Resource string `json:"resource,omitempty"`
	// Indirect says that the caller did not name it: it was reached through a
	// view, a rule or inheritance.
	Indirect bool `json:"indirect,omitempty"`
}

// DecisionDocument is the policy decision.
type DecisionDocument struct {
	Effect  string         `json:"effect,omitempty"`
	Rules   []RuleDocument `json:"rules,omitempty"`
	Message string         `json:"message,omitempty"`
	Cause   string         `json:"cause,omitempty"`
	Masks   []string       `json:"masks,omitempty"`
	// Audit is what it would have come to if policies in mode Audit were enforced.
	Audit *WouldDocument `json:"audit,omitempty"`
}

// WouldDocument is what policies in mode Audit would have changed of a decision.
type WouldDocument struct {
	Effect string         `json:"effect,omitempty"`
	Rules  []RuleDocument `json:"rules,omitempty"`
	Cause  string         `json:"cause,omitempty"`
	Masks  []string       `json:"masks,omitempty"`
}

// RuleDocument names a rule the decision rests on.
type RuleDocument struct {
	// Cluster says that Policy is a ClusterAccessPolicy.
	Cluster    bool   `json:"cluster,omitempty"`
	Policy     string `json:"policy,omitempty"`
	UID        string `json:"uid,omitempty"`
	Generation int64  `json:"generation,omitempty"`
	Rule       string `json:"rule,omitempty"`
}

// ApprovalDocument is the approval the operation waited for, or rests on.
type ApprovalDocument struct {
	Scope        string             `json:"scope,omitempty"`
	Request      string             `json:"request,omitempty"`
	UID          string             `json:"uid,omitempty"`
	Outcome      string             `json:"outcome,omitempty"`
	Approvers    []string           `json:"approvers,omitempty"`
	BreakGlass   bool               `json:"breakGlass,omitempty"`
	ReasonDigest string             `json:"reasonDigest,omitempty"`
	Also         []ApprovalDocument `json:"also,omitempty"`
}

// ResultDocument is what came of a forwarded operation.
type ResultDocument struct {
	Outcome             string        `json:"outcome,omitempty"`
	Rows                int64         `json:"rows"`
	Bytes               int64         `json:"bytes"`
	DurationNanoseconds int64         `json:"durationNanoseconds,omitempty"`
	ErrorCode           string        `json:"errorCode,omitempty"`
	MaskedFields        []string      `json:"maskedFields,omitempty"`
	MaskedValues        int64         `json:"maskedValues,omitempty"`
	Exit                *ExitDocument `json:"exit,omitempty"`
	// TransfersTruncated is the number of all transfers where not all are there.
	Transfers          []TransferDocument `json:"transfers,omitempty"`
	TransfersTruncated int64              `json:"transfersTruncated,omitempty"`
	Response           *ResponseDocument  `json:"response,omitempty"`
}

// ExitDocument is how a program ended at the target.
type ExitDocument struct {
	// Status is nil where a signal ended it.
	Status     *uint32 `json:"status,omitempty"`
	Signal     string  `json:"signal,omitempty"`
	CoreDumped bool    `json:"coreDumped,omitempty"`
}

// TransferDocument is content that went one way.
type TransferDocument struct {
	Direction  Direction `json:"direction,omitempty"`
	Name       string    `json:"name,omitempty"`
	Bytes      int64     `json:"bytes"`
	Offset     uint64    `json:"offset,omitempty"`
	Digest     string    `json:"digest,omitempty"`
	Undigested string    `json:"undigested,omitempty"`
}

// ResponseDocument is the answer as the caller got it.
type ResponseDocument struct {
	Digest string       `json:"digest,omitempty"`
	Bytes  int64        `json:"bytes"`
	Text   string       `json:"text,omitempty"`
	Gap    *GapDocument `json:"gap,omitempty"`
}

// GapDocument is what the text of a response leaves out.
type GapDocument struct {
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
}

// AttributeDocument is a name with a value.
type AttributeDocument struct {
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// Decode reads a record's JSON. Members that this version does not know are
// passed over, as a schema may gain some without a new version; another schema
// is an error.
func Decode(data []byte) (Document, error) {
	var d Document
	if len(data) > MaxSize {
		return d, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(data), MaxSize)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.Schema != SchemaVersion {
		return Document{}, fmt.Errorf("%w: schema %q, this program reads %q", ErrMalformed, d.Schema, SchemaVersion)
	}
	if d.Log == "" || d.Index < 0 {
		return Document{}, fmt.Errorf("%w: no log id or a negative index %d", ErrMalformed, d.Index)
	}
	return d, nil
}

// Previous reads the hash that a record holds of the one before it, without
// decoding the rest.
func Previous(data []byte) (Hash, error) {
	const member = `,"previous":"`
	// It follows the index, which follows the log's id.
	head := data[:min(len(data), 512)]
	at := bytes.Index(head, []byte(member))
	if at < 0 || len(head) < at+len(member)+hashSize {
		return Hash{}, fmt.Errorf("%w: no hash of the previous record", ErrMalformed)
	}
	hash, err := tlog.ParseHash(string(head[at+len(member):][:hashSize]))
	if err != nil {
		return Hash{}, fmt.Errorf("%w: hash of the previous record: %w", ErrMalformed, err)
	}
	return hash, nil
}

// Head reads a record's position without decoding the rest.
func Head(data []byte) (Position, error) {
	const first, second = `{"schema":"` + SchemaVersion + `","log":"`, `","index":`
	rest, ok := bytes.CutPrefix(data, []byte(first))
	log, rest, found := bytes.Cut(rest, []byte(second))
	digits, _, end := bytes.Cut(rest, []byte(","))
	if !ok || !found || !end || len(log) == 0 {
		return Position{}, fmt.Errorf("%w: does not begin with %q, a log id and an index", ErrMalformed, first)
	}
	index, err := strconv.ParseInt(string(digits), 10, 64)
	// The greatest number has none behind it.
	if err != nil || index < 0 || index == math.MaxInt64 || len(digits) > 1 && digits[0] == '0' {
		return Position{}, fmt.Errorf("%w: index %q", ErrMalformed, digits)
	}
	return Position{LogID: string(log), Index: index}, nil
}
