// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// asking is what is decided at the moment, and the functions that the road is
// given for it, which are made once for a session. The requests pump's.
type asking struct {
	op     *operation
	portal *portal
	check  func(mask.Rules) error
	would  func(mask.Rules) error
	show   func() string
	hold   func(access.Notice)
}

func (a *asking) of(s *session, op *operation, p *portal) {
	a.op, a.portal = op, p
	if a.check == nil {
		a.check = func(rules mask.Rules) error { return maskRefusal(s.checkMasks(a.op, rules)) }
		a.would = func(rules mask.Rules) error { return s.wouldMask(a.op, rules) }
		a.show = func() string { return showParameters(a.portal.values) }
		a.hold = s.hold
	}
}

// maskRefusal has what cannot be masked refused in the words of the analysis.
func maskRefusal(err error) error {
	var found *sql.Error
	if !errors.As(err, &found) {
		return err
	}
	refusal := sqlRefusal(found)
	refusal.Reason = access.ReasonMasked
	return refusal
}
