// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/doorward/doorward/test/testenv"
)

// TestOnCluster installs Doorward on a fresh cluster, goes through the story, and
// breaks everything under load.
func TestOnCluster(t *testing.T) {
	need(t)
	s := newSite(t, source{testenv.Root(), []string{firstVersion, secondVersion}})
	progress("helm install")
	s.helmUp(t, testenv.Root(), firstVersion, s.withPortal()...)
	progress("PostgreSQL, kubectl apply -k samples")
	s.target(t)
	s.samples(t, testenv.Root(), more)
	took := await(t, "Connections that are ready", s.well)
	progress("ready %.0f s after kubectl apply; the story", took.Seconds())
	t.Run("Story", s.story)
	if t.Failed() {
		t.FailNow()
	}
	s.reliability(t)
}
