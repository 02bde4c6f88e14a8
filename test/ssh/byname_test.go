// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"slices"
	"testing"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// depot is a further Connection, for nia, which the ServiceAccount of web's proxies may serve:
// as docs/operations/proxy.md has it.
const depot = `apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata: {name: keepers, namespace: shop}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: User, name: nia, identityProvider: company}]
  connections: [{name: depot}]
  rules: [{name: look, effect: Allow, actions: [exec], resources: [echo]}]
  masks: []
  limits: []
  targetRole: ""
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: depot-by-web, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: doorward-depot}
subjects: [{kind: ServiceAccount, name: doorward-web, namespace: shop}]
`

// TestByName: one process, enrolled for one Connection, serves another besides, at its own
// address for whoever names it. All is the named one's: policies, target, record.
func TestByName(t *testing.T) {
	host, err := world.StartHost(t.Context(), stack.HostOptions{Connection: "depot"})
	stacktest.Must(t, err)
	stacktest.Must(t, world.Apply(t.Context(), depot))
	stacktest.Must(t, world.AwaitPolicy(t.Context(), "depot", "keepers"))
	address, err := proc.FreeAddress(t.Context())
	stacktest.Must(t, err)
	const name = stack.Namespace + "/depot"
	proxy := stacktest.StartProxy(t, world, stack.ProxyOptions{
		Connection: connection, Args: []string{"--connection=" + name, "--listen=" + name + "=" + address, "--by-name=" + name},
	})
	to := func(user, named, line string) said {
		v := visitor{user: user, proxy: proxy}
		return finish(t, v.command(t, "ssh", "-T", "-l", host.Account+"+"+named, proc.Loopback, line), "")
	}
	to("nia", "depot", "echo stored").wants(t, 0, "stored\n")
	to("nia", connection, "echo stored").wants(t, 255, `may not use connection "web"`)
	to("ann", "depot", "echo stored").wants(t, 255, `may not use connection "depot"`)

	d := decided(t, "nia", "echo stored")
	if d.Connection.Name != "depot" {
		t.Errorf("on record at %q", d.Connection.Name)
	}
	onRecord(t, "where she came", func(one *record.Document) bool {
		return one.Type == record.SessionStart && one.Session == d.Session &&
			slices.Contains(one.Attributes, record.AttributeDocument{Name: "listener", Value: stack.Namespace + "/" + connection})
	})
	if _, err := host.Target.AwaitLog(t.Context(), "Accepted publickey for "+host.Account, "user=nia ", "session="+stack.Namespace+"/"+d.Session); err != nil {
		t.Error(err)
	}
}
