// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestPolicyEdits prints what an edit of a policy costs that touches one Connection, a
// namespace's, and all, while the manager heartbeats all of them.
func TestPolicyEdits(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	size := func(name string, whole int) int {
		if os.Getenv("DOORWARD_LONG") != "1" {
			whole = max(2, whole/100)
		}
		return number(t, name, whole)
	}
	l := &lab{T: t, connections: size("SCALE_CONNECTIONS", 1000), namespaces: size("SCALE_NAMESPACES", 10)}
	l.policies = max(number(t, "SCALE_POLICIES", l.connections/10), l.namespaces+2)
	l.start()
	everywhere := noDrops()
	must(t, l.admin.Create(t.Context(), everywhere))
	l.createPolicies()
	l.row("empty", 0)
	l.row(fmt.Sprintf("%d Connections in %d namespaces with %d policies, from the first apply to the last snapshot", l.connections, l.namespaces, l.policies), l.phase(l.createConnections))
	l.settled()
	l.row("at rest for 30 s", l.phase(func() { <-time.After(30 * time.Second) }))

	rows := []string{
		l.edits("one Connection", 10, 1, narrow(0)),
		l.edits("those of a namespace", 5, l.connections/l.namespaces, readers(namespace(0))),
		l.edits("all", 3, l.connections, everywhere),
	}
	l.row("after the edits", 0)
	fmt.Print(l.table())
	fmt.Println("\n| an edit that touches | Connections | until the last snapshot: median | longest | snapshots | writes of status of Connections | of policies | reads | heartbeats meanwhile | CPU of the manager | its RSS, MiB |\n|---|---|---|---|---|---|---|---|---|---|---|\n" + strings.Join(rows, "\n"))
}

// createPolicies makes the policies that are there beside each namespace's own: each is
// about one Connection.
func (l *lab) createPolicies() {
	l.each(l.policies-l.namespaces-1, func(ctx context.Context, i int) error {
		p := narrow(i)
		p.Namespace, _ = l.of(i)
		p.Spec.Connections[0].Name = fmt.Sprintf("db-%d", i%l.connections)
		return l.admin.Create(ctx, p)
	})
}

// narrow is a policy about the i-th Connection.
func narrow(i int) *v1alpha1.AccessPolicy {
	p := readers(namespace(0))
	p.Name, p.Spec.Connections[0].Name = fmt.Sprintf("only-%d", i), fmt.Sprintf("db-%d", i)
	return p
}

// noDrops binds all Connections.
func noDrops() *v1alpha1.ClusterAccessPolicy {
	return &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-drops"},
		Spec: v1alpha1.ClusterAccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{},
			Subjects:    []v1alpha1.Subject{{Kind: v1alpha1.SubjectEveryone, IdentityProvider: "*"}},
			Namespaces:  []v1alpha1.NamespaceSelector{{Name: "*"}},
			Connections: []v1alpha1.ConnectionSelector{{Name: "*"}},
			Rules:       []v1alpha1.Rule{{Name: "no-drops", Effect: v1alpha1.EffectDeny, Actions: []string{"drop"}, Message: "never"}},
			Masks:       []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}

// conditioned is a policy of either kind.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

// edits edits a policy some times, one after the other, and says in a row what each took.
func (l *lab) edits(what string, times, touches int, policy conditioned) string {
	var took []time.Duration
	before, cpu := l.costs(), l.managerCPU()
	for range times {
		took = append(took, l.edit(touches, policy))
		l.settled()
	}
	after := l.costs()
	slices.Sort(took)
	each := func(n float64) string { return fmt.Sprintf("%.1f", n/float64(times)) }
	row := fmt.Sprintf("| %s | %d | %s | %s | %s | %s | %s | %s | %s | %.0f ms | %d |", what, touches,
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), each(after.snapshots-before.snapshots),
		each(after.connections-before.connections), each(after.policies-before.policies), each(after.reads-before.reads), each(after.beats-before.beats),
		(l.managerCPU()-cpu).Seconds()*1000/float64(times), l.rss(l.manager.PID()))
	l.Log(row)
	return row
}

// edit edits a policy, and returns how long it takes until the last snapshot that has it
// is in the API server.
func (l *lab) edit(touches int, policy conditioned) time.Duration {
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Minute)
	defer cancel()
	var all corev1.SecretList
	kind := client.MatchingFields{"type": v1alpha1.SecretTypeSnapshot}
	must(l.T, l.admin.List(ctx, &all, kind))
	before := make(map[types.UID][]byte, len(all.Items))
	for i := range all.Items {
		before[all.Items[i].UID] = all.Items[i].Data[snapshot.KeySnapshotSignature]
	}
	watched, err := l.admin.Watch(ctx, &corev1.SecretList{}, kind, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: all.ResourceVersion}})
	must(l.T, err)
	defer watched.Stop()

	began := time.Now()
	must(l.T, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := l.admin.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
			return err
		}
		switch p := policy.(type) {
		case *v1alpha1.AccessPolicy:
			p.Spec.Rules[0].Message = another(p.Spec.Rules[0].Message)
		case *v1alpha1.ClusterAccessPolicy:
			p.Spec.Rules[0].Message = another(p.Spec.Rules[0].Message)
		}
		return l.admin.Update(ctx, policy)
	}))
	for changed := map[types.UID]bool{}; len(changed) < touches; {
		select {
		case e, ok := <-watched.ResultChan():
			secret, is := e.Object.(*corev1.Secret)
			if !ok || e.Type == watch.Error {
				l.Fatalf("the watch of snapshots ended after %d of %d: %v", len(changed), touches, e.Object)
			}
			if is && !bytes.Equal(before[secret.UID], secret.Data[snapshot.KeySnapshotSignature]) {
				changed[secret.UID] = true
			}
		case <-ctx.Done():
			l.Fatalf("%d of %d snapshots were written", len(changed), touches)
		}
	}
	took := time.Since(began)
	l.await("the policy", func(ctx context.Context) error {
		if err := l.admin.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(policy.GetConditions(), v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != policy.GetGeneration() {
			return fmt.Errorf("its condition Ready is %+v", ready)
		}
		return nil
	})
	return took
}

// another is a message of the same length that is not the one before.
func another(message string) string {
	if cut, found := strings.CutSuffix(message, "!"); found {
		return cut + "."
	}
	return strings.TrimSuffix(message, ".") + "!"
}

// costs are requests that only the manager makes, as the API server counts them.
type costs struct {
	// snapshots are writes of Secrets that are no heartbeats.
	snapshots, beats float64
	// connections and policies are writes of their status.
	connections, policies float64
	// reads are those of what is in no cache.
	reads float64
}

func (l *lab) costs() (c costs) {
	must(l.T, l.eachMetric(l.Context(), func(name, _ string, value float64) {
		if name == "doorward_manager_heartbeats_total" {
			c.beats += value
		}
	}))
	l.eachRequest(func(labels string, count float64) {
		is := func(label, value string) bool { return strings.Contains(labels, label+`="`+value+`"`) }
		switch status := is("subresource", "status"); {
		case !is("dry_run", "") || is("verb", "LIST") || is("verb", "WATCH"):
		case is("verb", "GET") && (is("resource", "secrets") || is("resource", "configmaps")):
			c.reads += count
		case is("verb", "GET"):
		case is("resource", "secrets"):
			c.snapshots += count
		case is("resource", "connections") && status:
			c.connections += count
		case (is("resource", "accesspolicies") || is("resource", "clusteraccesspolicies")) && status:
			c.policies += count
		}
	})
	c.snapshots -= c.beats
	return c
}

// settled waits until the manager does nothing but heartbeats.
func (l *lab) settled() {
	const quiet = 3 * time.Second
	var last costs
	at := time.Now()
	l.await("quiet", func(context.Context) error {
		now := l.costs()
		now.snapshots, now.beats = 0, 0 // heartbeats go on
		if now != last {
			last, at = now, time.Now()
		}
		if time.Since(at) < quiet {
			return fmt.Errorf("the manager still asks: %+v", now)
		}
		return nil
	})
}
