// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/proxy/report"
)

// clockSkew is how far the clocks of two proxies may be apart.
const clockSkew = time.Minute

// Instances returns the reports of all live instances of the Connection, this one
// among them.
func (r *Reporter) Instances(ctx context.Context) ([]report.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	reports, err := r.Client.configMaps(r.Namespace).Get(ctx, report.ConfigMapName(r.Name), metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot read the reports of connection %q: %w", r.Namespace+"/"+r.Name, err)
	}
	var live []report.Report
	for instance, text := range reports.Data {
		// What cannot be read is nobody's report.
		if one, err := report.Decode(instance, text); err == nil && time.Since(one.ObservedAt) < report.StaleAfter+clockSkew {
			live = append(live, one)
		}
	}
	return live, nil
}
