// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// policies are what an admin writes.
const policies = `apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata: {namespace: shop, name: canary-reviewed}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: User, name: petra, identityProvider: company}]
  connections: [{name: shop-db}]
  rules:
  - {name: canary-read, effect: Allow, actions: [select], resources: ["public.*"]}
  - name: canary-write
    effect: RequireApproval
    actions: [update]
    resources: ["public.orders"]
    message: changes to orders are looked at
    approval: {approvers: [{kind: User, name: canary-carol}], minimum: 1, timeoutSeconds: 60}
  - {name: canary-drop, effect: Deny, actions: [drop], message: nobody drops tables}
  masks: []
  limits: []
  targetRole: ""
`

// who asks, from the command line.
type asked struct {
	code     int
	out, err string
}

// plugin runs kubectl-doorward policy can-i as somebody without any right in the cluster.
func plugin(t *testing.T, kubeconfig string, args ...string) asked {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), world.Plugin(), append([]string{"policy", "can-i", "--kubeconfig", kubeconfig}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return asked{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// tokenFile is a file with a token of somebody for an audience.
func tokenFile(t *testing.T, request issuer.Request) string {
	t.Helper()
	token, err := world.Issuer.TokenFor(request)
	stacktest.Must(t, err)
	path := filepath.Join(t.TempDir(), "token")
	stacktest.Must(t, os.WriteFile(path, []byte(token+"\n"), 0o600))
	return path
}

// TestUnprivileged: an admin applies YAML; somebody who may read nothing in the cluster
// asks the proxy with his token, and hears what holds for him, and of nobody's policy.
func TestUnprivileged(t *testing.T) {
	port, err := proc.FreeAddress(t.Context())
	stacktest.Must(t, err)
	stacktest.StartProxy(t, world, stack.ProxyOptions{Args: []string{"--review-address=" + stack.Namespace + "/" + stack.Connection + "=" + port}})
	_, number, err := net.SplitHostPort(port)
	stacktest.Must(t, err)
	address := net.JoinHostPort("localhost", number)
	path := filepath.Join(t.TempDir(), "policies.yaml")
	stacktest.Must(t, os.WriteFile(path, []byte(policies), 0o600))
	stacktest.Must(t, world.Control.Apply(t.Context(), path))
	t.Cleanup(func() {
		_, err := world.Control.Kubectl(context.Background(), world.Control.Direct, "delete", "-f", path)
		stacktest.Must(t, err)
	})
	stacktest.Must(t, world.AwaitPolicy(t.Context(), stack.Connection, "canary-reviewed"))

	user, err := world.User("petra")
	stacktest.Must(t, err)
	kubeconfig, err := world.Control.WriteKubeconfig("petra", user)
	stacktest.Must(t, err)
	token := tokenFile(t, issuer.Request{User: "petra", Audience: stack.GatewayAudience})
	foreign := tokenFile(t, issuer.Request{User: "petra", Audience: stack.KubernetesAudience})
	ask := []string{"-n", stack.Namespace, "-c", stack.Connection, "--proxy", address, "--ca-file", world.CAPath, "--token-file", token}
	cases := map[string]struct {
		reason string
		args   []string
		code   int
		out    []string
		err    string
	}{
		"NoRights": {
			"the error is the next command",
			[]string{"-n", stack.Namespace, "-c", stack.Connection, "select", "public.orders"},
			2, nil,
			"kubectl doorward policy can-i -n shop -c shop-db --proxy doorward-shop-db.shop.svc:8444 --token-file TOKEN_FILE 'select public.orders'",
		},
		"Yes":           {"allowed", append(ask, "select", "public.orders"), 0, []string{"yes\n"}, ""},
		"AfterApproval": {"an approval is needed", append(ask, "update public.orders"), 3, []string{"after approval - changes to orders are looked at\n"}, ""},
		"No":            {"a rule refuses, and says why", append(ask, "drop public.orders"), 1, []string{"no - nobody drops tables\n"}, ""},
		"Default":       {"nothing allows it", append(ask, "delete public.orders"), 1, []string{"no\n"}, ""},
		"List": {
			"all that is permitted", ask, 0,
			[]string{"EFFECT           ACTIONS  RESOURCES      PROPERTIES\n", "Allow            select   public.*       -\n", "RequireApproval  update   public.orders  -\n", "A session that began now would end by "},
			"",
		},
		"JSON":       {"for programs", append(ask, "-o", "json", "select public.orders"), 0, []string{`"kind": "SelfAccessReview"`, `"effect": "Allow"`}, ""},
		"Typo":       {"a word of no protocol", append(ask, "slect public.orders"), 2, nil, `protocol postgres has no "slect"`},
		"Connection": {"another Connection's port", append(ask[:2:2], append([]string{"-c", "payroll"}, ask[4:]...)...), 2, nil, "another Connection"},
		"WrongToken": {"checklist 29: a token for the API server opens nothing here", append(ask[:len(ask)-1:len(ask)-1], foreign, "select public.orders"), 2, nil, "CredentialRejected"},
		"NoToken":    {"a flag is missing", ask[: len(ask)-2 : len(ask)-2], 2, nil, "--token-file"},
		"As":         {"nobody asks for others", append(ask, "--as", "alice"), 2, nil, "--as is not for --proxy"},
		"Untrusted":  {"a certificate that nobody vouches for", append(ask[:6:6], "--token-file", token), 2, nil, "--ca-file"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := plugin(t, kubeconfig, tc.args...)
			if got.code != tc.code || !strings.Contains(got.err, tc.err) {
				t.Errorf("%s: exit %d, want %d: %s%s", tc.reason, got.code, tc.code, got.out, got.err)
			}
			for _, want := range tc.out {
				if !strings.Contains(got.out, want) {
					t.Errorf("%s: no %q in\n%s", tc.reason, want, got.out)
				}
			}
			if strings.Contains(got.out+got.err, "canary") {
				t.Errorf("%s: somebody's policy is named: %s%s", tc.reason, got.out, got.err)
			}
		})
	}
	// All of it is in the log of this proxy, and reaches the sinks as all records do.
	stacktest.Must(t, stack.Await(t.Context(), func(context.Context) error {
		all, err := stack.ReadRecords(world.Records())
		if err != nil {
			return err
		}
		answered, unproven := map[string]int{}, 0
		for i := range all {
			switch d := &all[i]; {
			case d.Type == record.AccessReviewed && d.Decision != nil && d.Actor.UserName == "petra":
				answered[d.Decision.Effect]++
			case d.Type == record.AuthenticationFailed:
				unproven++
			}
		}
		if answered["Allow"] < 3 || answered["Deny"] < 2 || answered["RequireApproval"] < 1 || unproven < 1 {
			return errors.New("not all questions are on record yet")
		}
		return nil
	}))
}
