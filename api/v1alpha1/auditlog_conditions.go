// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ConditionConsistent of an AuditLog says whether everything that the witness was shown of
// the log is of one and the same log. Once False, it stays False.
const ConditionConsistent = "Consistent"

// Reasons of Consistent of an AuditLog.
const (
	// ReasonConsistent surfaces when each checkpoint continued the one before it.
	ReasonConsistent = "Consistent"

	// ReasonRolledBack surfaces when a checkpoint covers fewer records than the
	// witness has seen: an older copy of the log was put in place.
	ReasonRolledBack = "RolledBack"

	// ReasonForked surfaces when a checkpoint is properly signed and does not
	// continue the one that the witness holds: records were rewritten.
	ReasonForked = "Forked"

	// ReasonBadProof surfaces when the proof that a checkpoint continues the last
	// one is wrong, or an earlier checkpoint was shown as one that does.
	ReasonBadProof = "BadProof"

	// ReasonBadSignature surfaces when a checkpoint or a key rotation is not signed
	// by the log's key.
	ReasonBadSignature = "BadSignature"

	// ReasonClaimed surfaces when another proxy instance, or the proxy of another
	// Connection, shows checkpoints of the log as its own.
	ReasonClaimed = "Claimed"
)

// Reasons of Complete of an AuditLog.
const (
	// ReasonLogOpen surfaces when a live proxy writes the log.
	ReasonLogOpen = "LogOpen"

	// ReasonLogClosed surfaces when the proxy closed the log in order.
	ReasonLogClosed = "LogClosed"

	// ReasonLogEnded surfaces when the proxy is gone and did not close the log.
	ReasonLogEnded = "LogEnded"
)
