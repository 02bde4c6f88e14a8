// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identityprovider

import (
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/identity/saml"
)

// soon is how long before its end metadata is complained of: identity providers announce
// new certificates by weeks.
const soon = 30 * 24 * time.Hour

// lookAhead says for how long a SAML identity provider's metadata is good. Who logs in
// after its end is refused, and nobody would know why.
func (r *Reconciler) lookAhead(_ context.Context, s *scope) error {
	provider := s.provider.Spec.SAML
	if provider == nil {
		return nil
	}
	metadata, err := saml.ParseMetadata([]byte(provider.Metadata), provider.EntityID)
	if err != nil {
		// Accepted says why.
		s.current = kit.Unknown(v1alpha1.ConditionMetadataCurrent, v1alpha1.ReasonProgressing, "not looked at, since the provider is not accepted")
		return nil //nolint:nilerr // see above
	}
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	s.current = judge(metadata.UsableUntil(), now())
	return nil
}

func judge(until, now time.Time) kit.Verdict {
	const remedy = "fetch the identity provider's metadata again and write it into spec.saml.metadata"
	at := until.UTC().Format(time.RFC3339)
	switch {
	case !now.Before(until):
		return kit.False(v1alpha1.ConditionMetadataCurrent, v1alpha1.ReasonMetadataExpired, fmt.Sprintf("nobody can log in: metadata, or its last certificate, has ended at %s: %s", at, remedy))
	case until.Sub(now) < soon:
		return kit.False(v1alpha1.ConditionMetadataCurrent, v1alpha1.ReasonExpiresSoon, fmt.Sprintf("metadata, or its last certificate, ends at %s: %s", at, remedy))
	}
	return kit.True(v1alpha1.ConditionMetadataCurrent, v1alpha1.ReasonCurrent, "good until "+at)
}
