// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// ready waits until the proxy takes credentials of a portal.
func ready(t *testing.T, portal *stacktest.Portal) {
	t.Helper()
	stacktest.Await(t, "a proxy that takes credentials", func(context.Context) error {
		amy := by("amy")
		_, amy.identity = portal.IssueSSH(t, caller("amy"))
		if said := amy.runs(t, "id"); said.status != 0 {
			return errors.New(said.errs)
		}
		return nil
	})
}

// TestLogin: checklist 1: whoever logs in, by a token or by a certificate, is the actor of the
// AuditSession and of the records, and is named by the target's own log.
func TestLogin(t *testing.T) {
	portal := stacktest.NewPortal(t, world)
	ready(t, portal)
	credential, identity := portal.IssueSSH(t, caller("gwen"))
	for name, test := range map[string]struct {
		reason     string
		who        visitor
		method     string
		credential string
	}{
		"Token":       {reason: "plain ssh, with a token of the identity provider as the password", who: by("ann"), method: "oidc"},
		"Certificate": {reason: "a certificate of the portal", who: visitor{user: "gwen", identity: identity}, method: "ssh-certificate", credential: credential.Name},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(test.reason)
			line := "echo " + strings.ToLower(t.Name())
			test.who.runs(t, line).wants(t, 0, strings.ToLower(t.Name()))
			d := decided(t, test.who.user, line)
			object := awaitSession(t, d.Session, v1alpha1.SessionEnded, func(one *v1alpha1.AuditSession) bool { return one.Name == d.Session })
			if a := object.Spec.Actor; a.Issuer != world.Issuer.URL || a.Subject != test.who.user || a.KubernetesUsername != test.who.user || a.IdentityProvider != "company" {
				t.Errorf("the AuditSession is of %+v", a)
			}
			if a := d.Actor; a.Subject != test.who.user || a.Credential != test.credential || a.Method != object.Spec.Actor.AuthenticationMethod || a.Method != test.method {
				t.Errorf("on record: %+v in session %s", a, d.Session)
			}
			if _, err := web.Target.AwaitLog(t.Context(), "Accepted publickey for "+web.Account, "user="+test.who.user+" ", "session="+stack.Namespace+"/"+object.Name); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoLogin: who is nobody, or is somebody without a policy, gets nothing and is on record; the
// target hears nothing of him.
func TestNoLogin(t *testing.T) {
	stranger := by("nobody")
	stranger.runs(t, "id").wants(t, 255, "nobody", "kubectl -n "+stack.Namespace+" get accesspolicies")
	onRecord(t, "the refusal", func(d *record.Document) bool {
		return d.Type == record.SessionRefused && d.Actor != nil && d.Actor.UserName == "nobody" && d.Connection.Name == connection
	})
	other := by("ann")
	command := other.command(t, "ssh", "-T", "-l", "root+elsewhere", "localhost", "id")
	finish(t, command, "").wants(t, 255, `there is no connection "elsewhere" at this address`)
	log, err := web.Target.Log()
	stacktest.Must(t, err)
	if strings.Contains(log, "user=nobody ") {
		t.Error("the target heard of who was refused")
	}
}
