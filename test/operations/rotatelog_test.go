// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/proxy/witness"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

const witnessKey = "doorward-witness-key"

// keysOfWitness are those that are published, the verifier in force among them.
func keysOfWitness(ctx context.Context) (chain witness.Chain, verifier string, err error) {
	var keys corev1.ConfigMap
	name := client.ObjectKey{Namespace: stack.OperatorNamespace, Name: witness.KeysConfigMapName}
	if err := world.Admin.Get(ctx, name, &keys); err != nil {
		return nil, "", err
	}
	chain, err = witness.DecodeChain([]byte(keys.Data[witness.KeysChain]))
	return chain, keys.Data[witness.KeysVerifier], err
}

// countersigned says whether the witness holds more than a number of records of the
// shop's log, and signed for them with a key.
func countersigned(ctx context.Context, above int64, verifier string) error {
	log, err := auditLogOf(ctx, firstInstance)
	if err != nil {
		return err
	}
	key, err := note.NewVerifier(verifier)
	if err != nil {
		return err
	}
	if log.Status.Size <= above {
		return fmt.Errorf("%d records are witnessed, want more than %d", log.Status.Size, above)
	}
	_, err = note.Open([]byte(log.Status.Checkpoint), note.VerifierList(key))
	return err
}

// TestRotateWitnessKey has the witness go on with another key: asked for, after a
// year, and after the loss of the one before.
func TestRotateWitnessKey(t *testing.T) {
	admitLoad(t)
	l := steady(t, taken(t), world.Proxy())
	for _, tc := range []struct {
		name, reason string
		rotate       func(t *testing.T)
		// vouched: the two keys vouch for each other.
		vouched bool
	}{
		{
			name: "Asked", reason: "an annotation asks for the next key at any time", vouched: true,
			rotate: func(t *testing.T) {
				t.Helper()
				_, err := world.Control.Kubectl(t.Context(), world.Control.Direct, "-n", stack.OperatorNamespace,
					"annotate", "secret", witnessKey, "doorward.dev/rotate=now")
				must(t, err)
			},
		},
		{
			name: "AYearOver", reason: "by itself, once the key says that it is older than a year", vouched: true,
			rotate: func(t *testing.T) {
				t.Helper()
				change(t, secret(stack.OperatorNamespace, witnessKey), func(s *corev1.Secret) {
					chain, err := witness.DecodeChain(s.Data["chain.json"])
					must(t, err)
					chain[0].Since = time.Now().Add(-366 * 24 * time.Hour).UTC()
					s.Data["chain.json"], err = chain.Encode()
					must(t, err)
				})
			},
		},
		{
			name: "Deleted", reason: "a key that somebody else may have must not vouch for the next",
			rotate: func(t *testing.T) { t.Helper(); _ = lose(t, witnessKey) },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Log(tc.reason)
			chain, former, err := keysOfWitness(t.Context())
			must(t, err)
			await(t, "a log that the former key signed for", func(ctx context.Context) error { return countersigned(ctx, 0, former) })
			w := l.Open()
			tc.rotate(t)
			var next string
			took := await(t, "another key", func(ctx context.Context) (err error) {
				var now witness.Chain
				if now, next, err = keysOfWitness(ctx); err != nil {
					return err
				}
				if next == former || len(now) != len(chain)+1 {
					return errors.New("it is the former")
				}
				chain = now
				return nil
			})
			if trusts(t, chain, former, next) != tc.vouched || trusts(t, chain, next, former) != tc.vouched {
				t.Errorf("who trusts one of the keys trusts the other: want %t", tc.vouched)
			}
			log, err := auditLogOf(t.Context(), firstInstance)
			must(t, err)
			await(t, "the log under the next key", func(ctx context.Context) error {
				return errors.Join(countersigned(ctx, log.Status.Size, next), witnessed(ctx, firstInstance, log.Status.Size))
			})
			kept := secret(stack.OperatorNamespace, witnessKey)
			must(t, world.Admin.Get(t.Context(), client.ObjectKeyFromObject(kept), kept))
			if len(kept.Annotations) > 0 {
				t.Errorf("the Secret asks for yet another key: %v", kept.Annotations)
			}
			unfelt(t, "the witness's next key", l, w)
			t.Logf("the next key was published after %s", short(took))
		})
	}
}

// trusts says whether who trusts one key of the witness trusts another.
func trusts(t *testing.T, chain witness.Chain, one, other string) bool {
	t.Helper()
	all, err := chain.Verifiers(one)
	must(t, err)
	wanted, err := note.NewVerifier(other)
	must(t, err)
	_, err = all.Verifier(wanted.Name(), wanted.KeyHash())
	return err == nil
}

// TestRotateLogKey restarts a proxy whose log's key is older than it may be: the
// log goes on with the next, and the witness follows.
func TestRotateLogKey(t *testing.T) {
	port, err := proc.FreePort(t.Context())
	must(t, err)
	instance := fmt.Sprintf("aging-%d", port)
	proxy, err := world.StartProxy(t.Context(), stack.ProxyOptions{
		Connection: stack.Connection, Instance: instance, Port: port, Args: []string{"--log-key-max-age=1ms"},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	must(t, visit(t.Context(), t, proxy, "alice", "SELECT 1", "analysts"))
	await(t, "the log at the witness", func(ctx context.Context) error { return witnessed(ctx, instance, 2) })
	before, err := auditLogOf(t.Context(), instance)
	must(t, err)
	for n := len(before.Status.Keys) + 1; n <= len(before.Status.Keys)+2; n++ {
		must(t, proxy.Stop())
		must(t, proxy.Start(t.Context()))
		must(t, visit(t.Context(), t, proxy, "alice", "SELECT 2", "analysts"))
		await(t, "the log under its next key", func(ctx context.Context) error {
			if err := witnessed(ctx, instance, before.Status.Size+1); err != nil {
				return err
			}
			now, err := auditLogOf(ctx, instance)
			if err == nil && (now.Name != before.Name || len(now.Status.Keys) != n || len(now.Status.Rotations) != n-1) {
				err = fmt.Errorf("log %s has %d keys and %d rotations, want log %s with %d keys", now.Name, len(now.Status.Keys), len(now.Status.Rotations), before.Name, n)
			}
			return err
		})
	}
	must(t, complete(world.Records()))
}
