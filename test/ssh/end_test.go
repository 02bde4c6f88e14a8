// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestKilled: an admin ends a shell in which somebody works: its terminal is told why, and the
// program at the target ends too (checklist 36).
func TestKilled(t *testing.T) {
	shell := by("kit").shell(t)
	shell.types(t, "cat") // it would wait for ever
	object := session(t, "kit", v1alpha1.SessionActive)
	kubectl(t, "ada", "doorward", "kill", object.Name, "-n", object.Namespace, "--reason", "laptop stolen")
	if status := shell.ends(t); status == 0 {
		t.Error("the shell ended as if all were well")
	}
	shell.shows(t, "Doorward: ", "laptop stolen")
	onRecord(t, "the end", func(d *record.Document) bool {
		return d.Type == record.SessionEnd && d.Session == object.Name && strings.Contains(d.Reason, "laptop stolen")
	})
	if object = session(t, "kit", v1alpha1.SessionEnded); object.Spec.Terminate == nil || object.Spec.Terminate.Reason != "laptop stolen" {
		t.Errorf("terminated as %+v", object.Spec.Terminate)
	}
	if _, err := web.Target.AwaitLog(t.Context(), "Close session: user "+web.Account); err != nil {
		t.Error(err)
	}
}

// TestTerminated is TestKilled without the plugin, and measures from the API server's
// acceptance to the end of the client.
func TestTerminated(t *testing.T) {
	shell := by("kim").shell(t)
	object := session(t, "kim", v1alpha1.SessionActive)
	accepted := stacktest.Change(t, world, object, func(s *v1alpha1.AuditSession) {
		s.Spec.Terminate = &v1alpha1.Termination{Reason: "enough"}
	})
	if status := shell.ends(t); status == 0 {
		t.Error("the shell ended as if all were well")
	}
	within(t, "a shell that was terminated ended", accepted)
	shell.shows(t, "Doorward: ", "enough")
}

// TestRevoked: a credential that is revoked ends the shell that was opened by it, and opens no other
// (checklist 36).
func TestRevoked(t *testing.T) {
	portal := stacktest.NewPortal(t, world)
	ready(t, portal)
	credential, identity := portal.IssueSSH(t, caller("gwen"))
	gwen := visitor{user: "gwen", identity: identity}
	shell := gwen.shell(t)
	bystander := by("gwen").shell(t)
	accepted := portal.Revoke(t, credential, "key lost")
	if status := shell.ends(t); status == 0 {
		t.Error("the shell ended as if all were well")
	}
	within(t, "the shell of a revoked credential ended", accepted)
	shell.shows(t, "was revoked: key lost")
	gwen.runs(t, "id").wants(t, 255, "was revoked: key lost")
	bystander.runsOn(t)
	bystander.types(t, "exit 3")
	if status := bystander.ends(t); status != 3 {
		t.Errorf("her other session ended with %d", status)
	}
}
