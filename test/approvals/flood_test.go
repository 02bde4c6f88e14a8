// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// The bounds of docs/api/approvalrequest.md.
const (
	mayWait = 20
	mayKeep = 500
)

// TestFlood: checklist 38, somebody who makes thousands of requests fills neither etcd nor the
// approvers' list, and does not hold up anybody else's. DOORWARD_FLOOD says how many; "make
// flood" makes 10,000.
func TestFlood(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("DOORWARD_FLOOD"))
	if err != nil {
		t.Skip("DOORWARD_FLOOD is not set: run \"make flood\"")
	}
	stacktest.Give(t, world, stack.Policy("flooded", stack.Users("mal", "ina"), stack.Talk(), v1alpha1.Rule{
		Name: "incident", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
		Approval: &v1alpha1.ApprovalTerms{
			Scope: v1alpha1.ApprovalScopeSession, MaxDurationSeconds: 3600, TimeoutSeconds: 86400, Minimum: 1,
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}},
		},
	}))
	mayAsk(t, "mal", "ina")
	mal, ina, bob := person(t, "mal"), person(t, "ina"), person(t, "bob", "dba")
	ask := func(who client.Client, rule string) *v1alpha1.ApprovalRequest {
		request := &v1alpha1.ApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, GenerateName: "flood-"},
			Spec: v1alpha1.ApprovalRequestSpec{
				ConnectionRef: v1alpha1.ConnectionReference{Name: stack.Connection}, Scope: v1alpha1.ApprovalScopeSession,
				Session: v1alpha1.RequestedSession{
					Reason: "INC-1", DurationSeconds: 600, Rules: []v1alpha1.RequestedRule{{Kind: v1alpha1.KindAccessPolicy, Policy: "flooded", Rule: rule}},
				},
				Decisions: []v1alpha1.Decision{},
			},
		}
		stacktest.Must(t, who.Create(t.Context(), request))
		return request
	}
	before, _, err := proc.Memory(world.Manager().PID())
	stacktest.Must(t, err)
	stored := storage(t)
	// Half of them are for a rule that does not exist, and so void at once.
	var made atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := made.Add(1); n <= int64(count); n = made.Add(1) {
				ask(mal, []string{"incident", "accident"}[n%2])
			}
		})
	}
	stacktest.Await(t, "it has begun", func(context.Context) error {
		if made.Load() < int64(count)/10 {
			return fmt.Errorf("%d are made", made.Load())
		}
		return nil
	})
	// Meanwhile another asks, and is approved.
	began := time.Now()
	hers := await(t, ask(ina, "incident").Name, v1alpha1.ApprovalPending)
	stacktest.Must(t, decide(t, bob, hers))
	await(t, hers.Name, v1alpha1.ApprovalApproved)
	t.Logf("another's request was judged twice in %s while %d of %d were made", time.Since(began), min(made.Load(), int64(count)), count)
	all.Wait()
	err = wait.PollUntilContextTimeout(t.Context(), time.Second, time.Hour, true, func(ctx context.Context) (bool, error) {
		var list v1alpha1.ApprovalRequestList
		if err := world.Admin.List(ctx, &list, client.InNamespace(stack.Namespace)); err != nil {
			return false, err
		}
		kept, waiting := 0, 0
		for i := range list.Items {
			r := &list.Items[i]
			if r.Spec.Requester.Username != "mal" {
				continue
			}
			kept++
			if p := r.Status.Phase; p == "" || p == v1alpha1.ApprovalPending {
				waiting++
			}
		}
		t.Logf("of %d requests %d are kept, %d of them wait", count, kept, waiting)
		return kept <= mayKeep && waiting <= mayWait, nil
	})
	stacktest.Must(t, err)
	resident, peak, err := proc.Memory(world.Manager().PID())
	stacktest.Must(t, err)
	t.Logf("the manager holds %d MiB, at most %d MiB; before it was %d MiB; the store has grown from %d MiB to %d MiB",
		resident>>20, peak>>20, before>>20, stored>>20, storage(t)>>20)
}

// storage is the size of what the API server keeps its objects in, in bytes.
func storage(t *testing.T) int64 {
	t.Helper()
	c, err := kubernetes.NewForConfig(world.Control.RESTConfig)
	stacktest.Must(t, err)
	text, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").Do(t.Context()).Raw()
	stacktest.Must(t, err)
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, "apiserver_storage_size_bytes") {
			size, err := strconv.ParseFloat(value, 64)
			stacktest.Must(t, err)
			return int64(size)
		}
	}
	t.Fatal("the API server has no metric apiserver_storage_size_bytes")
	return 0
}
