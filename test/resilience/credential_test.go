// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestCredentialRotated changes the password at the target and in the Secret.
func TestCredentialRotated(t *testing.T) {
	live := login(t, alice)
	live.Must(t, "SELECT 1")
	former := secret(t, credentialSecret)
	rotate := func(password string) time.Time {
		if err := world.Postgres.Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", stack.Role, password)); err != nil {
			t.Fatal(err)
		}
		return change(t, former.DeepCopy(), func(s *corev1.Secret) { s.Data["password"] = []byte(password) })
	}
	t.Cleanup(func() {
		rotate(string(former.Data["password"]))
		await(t, "a session with the former credential", opens)
	})
	accepted := rotate("rotated-" + world.Canary)
	await(t, "a session with the rotated credential", opens)
	took := time.Since(accepted)
	live.Must(t, "SELECT count(*) FROM orders")
	if took > within(5*time.Second) {
		t.Errorf("the rotated credential was used after %s, want seconds", took)
	}
	t.Logf("new sessions use the rotated credential %s after the API server took it; the live session went on", took.Round(time.Millisecond))
}

// TestCredentialRefused spoils the Secret in each way in which the proxy must not
// use it (checklist 41, 49): new sessions are refused, the condition says what to do.
func TestCredentialRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		spoil  func(map[string][]byte)
		says   []string
	}{
		"MissingKey": {
			reason: "a Secret without a password is not half a credential",
			spoil:  func(data map[string][]byte) { delete(data, "password") },
			says:   []string{credentialSecret, `"password"`},
		},
		"OtherConnection": {
			reason: "a credential names the Connection that may use it, so that who can only write Connections cannot send it elsewhere",
			spoil:  func(data map[string][]byte) { data["connection"] = []byte("payroll-db") },
			says:   []string{credentialSecret, "payroll-db", "set the key \"connection\""},
		},
		"OtherAddress": {
			reason: "a credential names the addresses that it may be sent to",
			spoil:  func(data map[string][]byte) { data["addresses"] = []byte("db.example.com:5432") },
			says:   []string{credentialSecret, "db.example.com:5432", "add the address to the key \"addresses\""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			live := login(t, alice)
			former := secret(t, credentialSecret)
			t.Cleanup(func() {
				change(t, former.DeepCopy(), func(s *corev1.Secret) { s.Data = former.Data })
				await(t, "a session after the repair", opens)
				await(t, "the condition after the repair", func(ctx context.Context) error {
					_, err := conditionIs(ctx, v1alpha1.ConditionCredentialAvailable, metav1.ConditionTrue)
					return err
				})
			})
			change(t, former.DeepCopy(), func(s *corev1.Secret) { tc.spoil(s.Data) })
			took := await(t, "the condition", func(ctx context.Context) error {
				message, err := conditionIs(ctx, v1alpha1.ConditionCredentialAvailable, metav1.ConditionFalse, v1alpha1.ReasonCredentialRejected)
				if err != nil {
					return err
				}
				for _, text := range tc.says {
					if !strings.Contains(message, text) {
						return fmt.Errorf("the condition's message lacks %q: %s", text, message)
					}
				}
				if strings.Contains(message, world.Canary) {
					t.Fatal("the condition's message holds the password")
				}
				return nil
			})
			_, err := dial(t.Context(), alice)
			wants(t, refusal(t, err), codeCannotConnectNow, "cannot be reached", "kubectl -n "+stack.Namespace+" describe connection")
			live.Must(t, "SELECT 1")
			t.Logf("closed, with the condition after %s", took.Round(time.Millisecond))
		})
	}
}

// opens opens a session and uses it.
func opens(ctx context.Context) error {
	return stacktest.Visit(ctx, world, world.Proxy(), alice, "SELECT 1")
}
