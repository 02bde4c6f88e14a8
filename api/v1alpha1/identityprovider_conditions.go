// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ConditionIssuerReachable of an IdentityProvider says whether the manager can read the
// issuer's discovery document and keys.
const ConditionIssuerReachable = "IssuerReachable"

// Reasons of IssuerReachable, beside Unreachable.
const (
	// ReasonDiscovered surfaces when discovery document and keys were read.
	ReasonDiscovered = "Discovered"

	// ReasonNotNeeded surfaces when tokens are verified by TokenReview, so that nobody
	// reads the issuer's keys.
	ReasonNotNeeded = "NotNeeded"

	// ReasonIssuerMismatch surfaces when the discovery document names another issuer.
	ReasonIssuerMismatch = "IssuerMismatch"
)

// ConditionMetadataCurrent of an IdentityProvider of type SAML says whether its metadata,
// and with it the certificates that assertions are verified by, are good for a while yet.
const ConditionMetadataCurrent = "MetadataCurrent"

// Reasons of MetadataCurrent.
const (
	// ReasonCurrent surfaces when they are good for more than 30 days.
	ReasonCurrent = "Current"

	// ReasonExpiresSoon surfaces when they are not. Ready is True all the same.
	ReasonExpiresSoon = "ExpiresSoon"

	// ReasonMetadataExpired surfaces when nobody can log in any more.
	ReasonMetadataExpired = "MetadataExpired"
)
