// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Figures count what the portal does. The zero pointer counts nothing. Labels are words of
// the portal's own, never a caller's.
type Figures struct {
	given   *prometheus.CounterVec
	refused *prometheus.CounterVec
}

// NewFigures makes and registers Figures; those of nobody count nothing.
func NewFigures(registerer prometheus.Registerer) (*Figures, error) {
	if registerer == nil {
		return nil, nil //nolint:nilnil // counts nothing
	}
	f := &Figures{
		given: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "doorward", Subsystem: "manager", Name: "credentials_issued_total",
			Help: "GatewayCredentials that this manager's login portal issued, by form and grant.",
		}, []string{"form", "grant"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "doorward", Subsystem: "manager", Name: "login_refusals_total",
			Help: "Requests that this manager's login portal refused, by endpoint and error code.",
		}, []string{"route", "error"}),
	}
	for _, c := range []prometheus.Collector{f.given, f.refused} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	return f, nil
}

// grantLabels are short names of grants.
var grantLabels = map[string]string{grantCode: "Code", grantDevice: "Device", grantExchange: "Exchange"}

// Issued takes note of a credential, by its form and the grant type.
func (f *Figures) Issued(form, grant string) {
	if f != nil {
		f.given.WithLabelValues(form, grantLabels[grant]).Inc()
	}
}

// Refused takes note of a refusal, by the endpoint and the error code.
func (f *Figures) Refused(endpoint, code string) {
	if f != nil {
		f.refused.WithLabelValues(endpoint, code).Inc()
	}
}
