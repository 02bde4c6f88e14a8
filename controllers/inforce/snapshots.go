// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inforce says in which snapshots a policy is in force, and what policies in mode
// Audit would have changed: what the controllers of AccessPolicies and of
// ClusterAccessPolicies have in common.
package inforce

import (
	"context"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/publish"
)

// Snapshots knows what the published snapshots hold, and reads none for each policy and
// event: that would be as many reads as Connections times Connections when all change.
type Snapshots interface {
	// Content returns what the published snapshot of a Connection holds; revision 0 where
	// there is none.
	Content(ctx context.Context, connection *v1alpha1.Connection) (publish.Content, error)
}

func revision(c *v1alpha1.Connection) int64 {
	if c.Status.Snapshot == nil {
		return 0
	}
	return c.Status.Snapshot.Revision
}
