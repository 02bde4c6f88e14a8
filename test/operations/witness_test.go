// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/test/stack"
)

// TestAuditLogDeleted has the witness begin anew with a log, as is told for one
// that it cannot follow any more.
func TestAuditLogDeleted(t *testing.T) {
	const instance = stack.Connection + "-1"
	must(t, visit(t.Context(), t, world.Proxy(), "alice", "SELECT 1", "analysts"))
	await(t, "a witnessed log", func(ctx context.Context) error { return witnessed(ctx, instance, 1) })
	log, err := auditLogOf(t.Context(), instance)
	must(t, err)
	if err := world.Admin.Delete(t.Context(), log); !apierrors.IsForbidden(err) {
		t.Fatalf("a cluster admin deletes an AuditLog: %v, want it forbidden", err)
	}
	config := rest.CopyConfig(world.Control.Direct)
	config.Impersonate.UserName = "system:serviceaccount:" + stack.OperatorNamespace + ":doorward-manager"
	manager, err := stack.NewClient(config)
	must(t, err)
	must(t, manager.Delete(t.Context(), log))
	must(t, visit(t.Context(), t, world.Proxy(), "alice", "SELECT 2", "analysts"))
	took := await(t, "the log at the witness again", func(ctx context.Context) error {
		now, err := auditLogOf(ctx, instance)
		if err == nil && now.UID == log.UID {
			return errors.New("it is the former")
		}
		return errors.Join(err, witnessed(ctx, instance, log.Status.Size+1))
	})
	t.Logf("witnessed anew after %s", short(took))
}
