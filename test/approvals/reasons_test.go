// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const (
	// huge is a reason that fills etcd, in bytes.
	huge = 2 << 20
	// argument is about what a program can be given as one argument, in bytes: MAX_ARG_STRLEN
	// is 128 KiB, see execve(2).
	argument = 120 << 10
	// mostSaid bounds a refusal: it does not repeat what it refuses.
	mostSaid = 4 << 10
)

// TestReasons: checklist 38, a reason of two megabytes is refused, by kubectl and by the plugin,
// by a text that says how long it may be; one that is just as long as it may be is taken.
func TestReasons(t *testing.T) {
	incident := v1alpha1.Rule{
		Name: "incident", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
		Approval: &v1alpha1.ApprovalTerms{
			Scope: v1alpha1.ApprovalScopeSession, MaxDurationSeconds: 3600, TimeoutSeconds: 600, Minimum: 1,
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}},
		},
	}
	stacktest.Give(t, world, stack.Policy("reasons", stack.Users("rita"), stack.Talk(), incident))
	mayAsk(t, "rita")
	rita, err := world.User("rita")
	stacktest.Must(t, err)
	bob, err := world.User("bob", "dba")
	stacktest.Must(t, err)
	pending := func(t *testing.T) string {
		t.Helper()
		object := asking("INC-1")
		stacktest.Must(t, person(t, "rita").Create(t.Context(), object))
		return await(t, object.Name, v1alpha1.ApprovalPending).Name
	}
	for name, tc := range map[string]struct {
		reason string
		who    *rest.Config
		limit  int
		// about makes what the reason is about, and returns its name.
		about func(t *testing.T) string
		// object is what kubectl sends, and how.
		object func(t *testing.T, name, reason string) (verb []string, object any)
		// plugin are the words of the plugin before the reason.
		plugin func(name string) []string
	}{
		"Request": {
			reason: "why somebody asks", who: rita, limit: 1024,
			about: func(*testing.T) string { return "" },
			object: func(_ *testing.T, _, reason string) ([]string, any) {
				object := asking(reason)
				object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApprovalRequest"))
				return []string{"create", "-f"}, object
			},
			plugin: func(string) []string { return []string{"request", stack.Connection, "--rule", "reasons/incident"} },
		},
		"Comment": {
			reason: "why an approver denies", who: bob, limit: 1024, about: pending,
			object: func(t *testing.T, name, reason string) ([]string, any) {
				t.Helper()
				return patchOf(name), []any{map[string]any{"op": "add", "path": "/spec/decisions/-", "value": v1alpha1.Decision{
					Verdict: v1alpha1.VerdictDeny, OperationDigest: await(t, name, v1alpha1.ApprovalPending).Status.Session.Digest, Comment: reason,
				}}}
			},
			plugin: func(name string) []string { return []string{"deny", name, "-y"} },
		},
		"Revocation": {
			reason: "why somebody takes a request back", who: rita, limit: 512,
			about: func(t *testing.T) string {
				t.Helper()
				name := pending(t)
				stacktest.Must(t, decide(t, person(t, "bob", "dba"), await(t, name, v1alpha1.ApprovalPending)))
				return await(t, name, v1alpha1.ApprovalApproved).Name
			},
			object: func(_ *testing.T, name, reason string) ([]string, any) {
				return patchOf(name), []any{map[string]any{"op": "add", "path": "/spec/revoke", "value": map[string]string{"reason": reason}}}
			},
			plugin: func(name string) []string { return []string{"revoke", name, "-y"} },
		},
		"Termination": {
			reason: "why a session is ended", who: world.Control.Direct, limit: 512,
			about: func(t *testing.T) string {
				t.Helper()
				return (&speakers{}).object(t, stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "rita"})).Name
			},
			object: func(_ *testing.T, name, reason string) ([]string, any) {
				return []string{"patch", "auditsession", name, "--type=json", "--patch-file"},
					[]any{map[string]any{"op": "add", "path": "/spec/terminate", "value": map[string]string{"reason": reason}}}
			},
			plugin: func(name string) []string { return []string{"kill", name} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			kubeconfig, err := world.Control.WriteKubeconfig("reasons-"+strings.ToLower(name), tc.who)
			stacktest.Must(t, err)
			kubectl := func(t *testing.T, name, reason string) error {
				t.Helper()
				verb, object := tc.object(t, name, reason)
				text, err := json.Marshal(object)
				stacktest.Must(t, err)
				path := filepath.Join(t.TempDir(), "object.json")
				stacktest.Must(t, os.WriteFile(path, text, 0o600))
				_, err = world.Control.Kubectl(t.Context(), tc.who, append(verb, path, "-n", stack.Namespace)...)
				return err
			}
			plugin := func(t *testing.T, name, reason string) error {
				t.Helper()
				command := exec.CommandContext(t.Context(), world.Plugin(), append(tc.plugin(name), "-n", stack.Namespace, "--reason", reason)...)
				command.Env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + t.TempDir()}
				out, err := command.CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			}
			about := tc.about(t)
			for what, length := range map[string]int{"one too many": tc.limit + 1, "two megabytes": huge} {
				refusedBy(t, "kubectl, "+what, kubectl(t, about, strings.Repeat("r", length)), tc.limit)
			}
			for what, length := range map[string]int{"one too many": tc.limit + 1, "all that an argument can be": argument} {
				refusedBy(t, "plugin, "+what, plugin(t, about, strings.Repeat("r", length)), tc.limit)
			}
			if err := plugin(t, about, strings.Repeat("r", huge)); !errors.Is(err, syscall.E2BIG) {
				t.Errorf("plugin, two megabytes: the system lets it start: %.200v", err)
			}
			// Letters of four bytes each count once, as the API server counts them.
			stacktest.Must(t, kubectl(t, about, strings.Repeat("𝄞", tc.limit)))
			stacktest.Must(t, plugin(t, tc.about(t), strings.Repeat("r", tc.limit)))
		})
	}
	// Nothing has fallen over.
	await(t, pending(t), v1alpha1.ApprovalPending)
	stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "rita"}).Must(t, "SELECT 1")
	var all v1alpha1.ApprovalRequestList
	stacktest.Must(t, world.Admin.List(t.Context(), &all, client.InNamespace(stack.Namespace)))
}

func asking(reason string) *v1alpha1.ApprovalRequest {
	object := incident(reason)
	object.Spec.Session.Rules[0].Policy = "reasons"
	return object
}

func patchOf(name string) []string {
	return []string{"patch", "approvalrequest", name, "--type=json", "--patch-file"}
}

// refusedBy fails the test where a reason was taken, or the refusal does not say the limit, or
// is long itself.
func refusedBy(t *testing.T, what string, err error, limit int) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: it was taken", what)
		return
	}
	if text := err.Error(); !strings.Contains(text, fmt.Sprintf("more than %d ", limit)) || len(text) > mostSaid {
		t.Errorf("%s: want a refusal that says %d, got %d bytes: %.1000s", what, limit, len(text), text)
	}
}
