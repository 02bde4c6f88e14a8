// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package record is the log of who did what. It defines the Event, its
// documented JSON form, and the Log that keeps it.
package record

import (
	"context"
	"errors"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// SchemaVersion is the version of the JSON form that every record carries.
const SchemaVersion = "doorward.dev/record/v1"

// Type tells the records apart.
type Type string

// The record types.
const (
	// ProxyStart opens a proxy's stay in the log; ProxyStop closes it.
	ProxyStart Type = "ProxyStart"
	ProxyStop  Type = "ProxyStop"
	// Recovery says what was found when the log was opened again: a torn tail
	// cut, operations whose outcome is unknown.
	Recovery Type = "Recovery"
	// SnapshotApplied and SnapshotRefused say which configuration was seen.
	SnapshotApplied Type = "SnapshotApplied"
	SnapshotRefused Type = "SnapshotRefused"
	// AuthenticationFailed is a caller that could not be proven.
	AuthenticationFailed Type = "AuthenticationFailed"
	// SessionRefused is a proven caller that may not connect.
	SessionRefused Type = "SessionRefused"
	SessionStart   Type = "SessionStart"
	SessionEnd     Type = "SessionEnd"
	// AccessReviewed is a proven caller who asked what he may do here, with what he was
	// answered: the Operation that he asked about, nil where he asked for all, and the
	// Decision, nil where he got none.
	AccessReviewed Type = "AccessReviewed"
	// OperationDecided is written before an operation is forwarded or refused.
	OperationDecided Type = "OperationDecided"
	// OperationHeld says that approval was asked for.
	OperationHeld Type = "OperationHeld"
	// OperationResult is what came of a forwarded operation.
	OperationResult Type = "OperationResult"
	// TargetWatched says that the proxy itself logs in at a target, to look at who
	// else is logged in there; written before it does.
	TargetWatched Type = "TargetWatched"
	// ForeignLogin is a login at the target that no proxy made.
	ForeignLogin Type = "ForeignLogin"
	// SharedCredential is a proven caller whose credential is used from several places; of
	// a session, that it goes on with one.
	SharedCredential Type = "SharedCredential" //nolint:gosec // a word, not a credential
	// RecordingChunk holds a part of a recording of terminal or other bytes;
	// RecordingEnd closes the recording.
	RecordingChunk Type = "RecordingChunk"
	RecordingEnd   Type = "RecordingEnd"
	// RecordingRead is a proven reader who asked for the recording of a session of this
	// log, with the Decision; written before a byte of it is given.
	RecordingRead Type = "RecordingRead"
	// Checkpoint is the log's signed word on all records before it.
	Checkpoint Type = "Checkpoint"
	// KeyRotated says which key signs the log's checkpoints from here on.
	KeyRotated Type = "KeyRotated"
)

// Event is one record. Unset parts are absent from its JSON. Event is a value
// given away to Append, which encodes it before it returns or queues it.
type Event struct {
	Type Type
	// Time is set by Append where it is zero.
	Time       time.Time
	Session    string
	Connection Connection
	// Revision is the snapshot revision in force.
	Revision int64
	// Actor is the proven caller, nil where nobody was proven.
	Actor *identity.Principal
	// ClientAddress is host:port of the caller; of a ForeignLogin, of whoever is
	// logged in, as the target has it.
	ClientAddress string
	// Operation is the operation's number within its session, from 1;
	// OperationDecided, OperationHeld and OperationResult of one operation share it.
	OperationID uint64
	Operation   *Operation
	Decision    *Decision
	Approval    *Approval
	Result      *Result
	// Reason is why a session ended or was refused, an authentication failed, a
	// login is taken for foreign, a credential for shared, or what recovery found.
	Reason string
	// ReasonCode is the same as a word: of what was refused, not forwarded after all, cut
	// off by a limit, or of a session that ended; empty where there is none.
	ReasonCode Reason
	// Attributes are the few protocol words worth keeping, such as the
	// database and the client's application name. Values are neutralised.
	Attributes []Attribute
	Recording  *Recording
	Read       *Read
	Checkpoint *CheckpointNote
	Rotation   *KeyRotation
	// Durability is what Append waits for; it is not part of the record.
	Durability Durability
	// Memo, where not nil, is what the session's events are encoded with; it is
	// not part of the record.
	Memo *Memo
}

// ErrUnsettled is wrapped by the error of an Append whose record has its place in
// the log, or may have it, but was not known to be durable in time: what the record
// stands for must not happen, and a record of that has to follow.
var ErrUnsettled = errors.New("record not known to be durable")

// Durability says when a record can no longer be lost. The zero value is Local.
type Durability string

const (
	// Local is on the log's own disk.
	Local Durability = "Local"
	// Remote is acknowledged by a sink off this machine, besides Local.
	Remote Durability = "Remote"
)

// Connection names the Connection object.
type Connection struct {
	Namespace string
	Name      string
	UID       string
}

// Attribute is a name with a value.
type Attribute struct {
	Name  string
	Value string
}

// FieldsLimit is the number of an operation's fields that a record holds.
const FieldsLimit = 256

// Operation is the recorded form of what the caller asked.
type Operation struct {
	Protocol string
	// Kind is the protocol's word for it, such as "SELECT" or "COPY".
	Kind string
	// Statement is the caller's text; Append bounds and neutralises it and
	// keeps the digest of the whole. Statements that carry secrets must be
	// given with the secrets already taken out.
	Statement string
	// Digest is the SHA-256 of the whole, "sha256:<hex>"; set by the road.
	Digest string
	// Normalized is the statement with its constants taken out.
	Normalized string
	Accesses   []policy.Access
	Properties []string
	// Fields are those that the answer may show or depend on, in the protocol's shape,
	// sorted; masks are about them. '*' stands for any run of characters, as for all
	// columns of a relation. Nil where the protocol does not say, which the record tells
	// from none; Append keeps the first FieldsLimit.
	Fields []string
	// Parameters is the number of bound parameters; the digest is of all of them.
	Parameters       int
	ParametersDigest string
	// ParameterText shows the values, where the Connection has them recorded.
	ParameterText string
}

// Decision is the recorded form of a policy decision.
type Decision struct {
	Effect  policy.Effect
	Rules   []policy.RuleRef
	Message string
	// Cause is why the policies came to that where their rules do not say it, for
	// operators and never for the caller; empty for nothing.
	Cause string
	// Masks names the masks in force for the answer, "policy/mask".
	Masks []string
	// Audit is what it would have come to if policies in mode Audit were enforced; nil
	// where that is the same.
	Audit *Would
}

// Would is what policies in mode Audit would have changed of a decision.
type Would struct {
	Effect policy.Effect
	Rules  []policy.RuleRef
	// Cause is that of a Decision.
	Cause string
	// Masks names the masks that would be in force for the answer.
	Masks []string
}

// Approval is the recorded form of the approval an operation waited for, or rests on.
type Approval struct {
	// Scope is policy.ScopeSession, or empty for one operation.
	Scope     string
	Request   string
	UID       string
	Outcome   string
	Approvers []string
	// BreakGlass says that nobody approved: the requester went ahead, and is reviewed
	// afterwards. ReasonDigest is then that of the reason given, "sha256:<hex>".
	BreakGlass   bool
	ReasonDigest string
	// Also are further approvals that the operation rests on.
	Also []Approval
}

// Result is what came of a forwarded operation.
type Result struct {
	// Outcome is Succeeded, Failed, Canceled or Unknown.
	Outcome  string
	Rows     int64
	Bytes    int64
	Duration time.Duration
	// ErrorCode is the target's own code, such as a SQLSTATE.
	ErrorCode string
	// MaskedFields are the fields that were masked in the answer.
	MaskedFields []string
	// MaskedValues is the number of values that were masked.
	MaskedValues int64
	// Exit is how the program that was run ended; nil where none was, or nobody said.
	Exit *Exit
	// Transfers are the contents that went through, such as of files or of a tunnel, each
	// way by itself; Append keeps the first TransfersLimit, or fewer with long names.
	Transfers []Transfer
	// Response is what the caller got, where the Connection has it recorded.
	Response *Response
}

// Response is the answer as the caller got it, after masking.
type Response struct {
	// Digest is the SHA-256 of all of the answer's content, "sha256:<hex>".
	Digest string
	// Bytes is the size of what Digest is of.
	Bytes int64
	// Text is the beginning of the answer in the protocol's text form.
	Text string
	// GapRows and GapBytes are what Text leaves out.
	GapRows, GapBytes int64
}

// Read is which recording somebody asked for. It is always the whole of it, as far as it
// had come, or, with Follow, will come while they read.
type Read struct {
	// Session is the id of the session. The record itself is none of the session's.
	Session string
	// FirstRecord is the index of the session's first record.
	FirstRecord int64
	// Unrecorded is the number of readings that were refused and are not on record, for
	// want of a place for them or because there were too many, since the last that is.
	Unrecorded int64
	// Follow says that they asked for what comes, too.
	Follow bool
}

// CheckpointNote is a checkpoint: a note signed by the log's key
// (golang.org/x/mod/sumdb/note, C2SP tlog-checkpoint).
type CheckpointNote struct {
	// Size is the number of records it covers, those before this record.
	Size int64
	Note string
	// Key is the key that signed Note, in the form of a note verifier, so that
	// a copy of the log can be verified by itself: the log's id certifies the
	// first key, a KeyRotation each further one.
	Key string
}

// KeyRotation introduces the log's next key.
type KeyRotation struct {
	// Key is the next key in the form of a note verifier.
	Key string
	// Note is the statement of it, signed by the key it replaces.
	Note string
}

// Position is where a record stands in its log: its index is the leaf number
// of the log's tree.
type Position struct {
	LogID string
	Index int64
}

// Log is an append-only log. It is safe for concurrent use.
type Log interface {
	// Append returns nil only when the record can no longer be lost. Any error
	// means that the operation it stands for must be refused.
	Append(ctx context.Context, event Event) (Position, error)
	// Begin gives a record its place and returns while it is being written.
	// Only the nil error of Wait says what that of Append says.
	Begin(ctx context.Context, event Event) (Pending, error)
	// AppendLater queues a record that nothing waits for: it is written with
	// the next group, in order. It fails only where the log is closed or broken.
	AppendLater(event Event) error
}

// Pending is a record that has its place in the log and may still be lost.
type Pending interface {
	// Wait must be called exactly once.
	Wait(ctx context.Context) (Position, error)
}
