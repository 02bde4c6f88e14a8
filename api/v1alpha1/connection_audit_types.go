// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// AuditDurability says when a record counts as kept.
// +kubebuilder:validation:Enum=Local;Remote
type AuditDurability string

const (
	// AuditDurabilityLocal is on the proxy's own disk.
	AuditDurabilityLocal AuditDurability = "Local"

	// AuditDurabilityRemote is also acknowledged by a sink on another machine.
	AuditDurabilityRemote AuditDurability = "Remote"
)

// ReadOverlap says whether reads may overtake their record.
// +kubebuilder:validation:Enum=Disabled;Enabled
type ReadOverlap string

const (
	// ReadOverlapDisabled forwards nothing before its record is kept.
	ReadOverlapDisabled ReadOverlap = "Disabled"

	// ReadOverlapEnabled forwards reads while their record is being written.
	ReadOverlapEnabled ReadOverlap = "Enabled"
)

// ResponseAudit says what is recorded of answers.
// +kubebuilder:validation:Enum=None;Digest;Masked
type ResponseAudit string

const (
	// ResponseAuditNone records counts only.
	ResponseAuditNone ResponseAudit = "None"

	// ResponseAuditDigest records a digest of what the caller got.
	ResponseAuditDigest ResponseAudit = "Digest"

	// ResponseAuditMasked records the rows as the caller got them, after masking.
	ResponseAuditMasked ResponseAudit = "Masked"
)

// ParameterAudit says what is recorded of bound parameters.
// +kubebuilder:validation:Enum=Digest;Text
type ParameterAudit string

const (
	// ParameterAuditDigest records a digest of the values.
	ParameterAuditDigest ParameterAudit = "Digest"

	// ParameterAuditText records the values.
	ParameterAuditText ParameterAudit = "Text"
)

// AuditSettings says how the trail of a Connection is kept.
// +kubebuilder:validation:MinProperties=1
type AuditSettings struct {
	// sessionRetentionSeconds is how long an AuditSession object stays after its
	// session ended. The log is not touched by it. Unset means 604800 (7 days).
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	SessionRetentionSeconds int32 `json:"sessionRetentionSeconds,omitempty"`

	// durability is Local or Remote. Unset means Local: an operation is forwarded
	// when its record is on the proxy's own disk. That needs a disk that outlives
	// the proxy: proxy.managed.spool, or placement External. Remote waits also for
	// a LogSink of type S3, OTLP, Syslog, Kafka or Webhook to acknowledge the
	// record: the loss of the disk then loses nothing, every operation takes the
	// sink's time longer, and while no such sink answers, operations are refused.
	// +optional
	Durability AuditDurability `json:"durability,omitempty"`

	// readOverlap is Disabled or Enabled. Unset means Disabled: nothing is
	// forwarded before its record is kept. Enabled forwards what only reads, by
	// built-in functions that are immutable or stable, while its record is being
	// written, and holds the answer back until it is: faster, and after a crash
	// the target may have run a read that nobody saw the answer of and that is not
	// on record.
	// +optional
	ReadOverlap ReadOverlap `json:"readOverlap,omitempty"`

	// responses is None, Digest or Masked. Unset means None: of an answer, its
	// rows and bytes are counted. Digest proves afterwards what somebody was
	// shown, to those who have it. Masked keeps the rows themselves, as they were
	// after masking, up to a bound: the log and every LogSink then hold data of
	// the target, and need its protection.
	// +optional
	Responses ResponseAudit `json:"responses,omitempty"`

	// parameters is Digest or Text. Unset means Digest: of the values bound to
	// statements, a digest is recorded. Text keeps the values, up to a bound,
	// secrets that callers bind among them: the log and every LogSink then hold
	// them.
	// +optional
	Parameters ParameterAudit `json:"parameters,omitempty"`

	// logRetentionSeconds is how long the proxy's own log keeps records that every
	// LogSink has acknowledged. Unset means that their space may be used again at
	// once. What is not acknowledged stays in any case.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=315360000
	LogRetentionSeconds int32 `json:"logRetentionSeconds,omitempty"`

	// legalHold is Disabled or Enabled. Unset means Disabled. Enabled keeps
	// everything in the proxies' own logs, whatever was acknowledged and however
	// old it is; when a log is full, operations are refused. It does not reach
	// what LogSinks hold.
	// +optional
	LegalHold LegalHold `json:"legalHold,omitempty"`
}
