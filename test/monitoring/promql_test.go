// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	for expr, want := range map[string][]string{
		`histogram_quantile(0.99, sum by (le, phase) (rate(doorward_x_seconds_bucket{phase=~"a|b_c_d"}[$__rate_interval])))`: {"doorward_x_seconds_bucket"},
		`time() - max by (connection) (doorward_a_b > 0) > 90`:                                                               {"doorward_a_b"},
		`sum by (a) (max_over_time(doorward_a_b[1h])) unless sum by (a) (doorward_c_d)`:                                      {"doorward_a_b", "doorward_c_d"},
		`label_values(doorward_proxy_ready, connection)`:                                                                     {"doorward_proxy_ready"},
	} {
		if diff := cmp.Diff(want, Names(expr)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expr, diff)
		}
	}
}

func TestLabelNames(t *testing.T) {
	expr := `sum by (le, phase) (rate(doorward_a_b_bucket{connection=~"$connection",reason!="x, y=1"}[5m])) and on (instance) doorward_c_d`
	if diff := cmp.Diff([]string{"le", "phase", "instance", "connection", "reason"}, LabelNames(expr)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
