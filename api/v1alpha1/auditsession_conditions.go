// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of Complete of an AuditSession.
const (
	// ReasonSessionActive surfaces when the session goes on.
	ReasonSessionActive = "SessionActive"

	// ReasonSessionEnded surfaces when the proxy reported its end.
	ReasonSessionEnded = "SessionEnded"

	// ReasonSessionLost surfaces when its proxy is gone without a report.
	ReasonSessionLost = "SessionLost"
)

// ConditionSharedCredential of an AuditSession says that the caller's credential was found
// to be used from several places. It is there where that is so, and then stays.
const ConditionSharedCredential = "SharedCredential" //nolint:gosec // a word, not a credential

// Reasons of SharedCredential of an AuditSession.
const (
	// ReasonSeveralPlaces surfaces when sessions from different networks overlapped, or
	// one followed the other within minutes.
	ReasonSeveralPlaces = "SeveralPlaces"
)
