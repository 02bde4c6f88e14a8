// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestKilledBetweenUseAndExecution kills the proxy with SIGKILL after it has marked an approval
// used and before the target has the statement (checklist 35): it is executed once at most, the
// approval is used up, and the log says what is known.
func TestKilledBetweenUseAndExecution(t *testing.T) {
	for name, tc := range map[string]struct {
		reason     string
		durability v1alpha1.AuditDurability
		// delivered is whether the target gets what the proxy had written when it died.
		delivered bool
	}{
		"Recorded":    {reason: "its record is on disk, and the sink's word that it is elsewhere, too, does not come", durability: v1alpha1.AuditDurabilityRemote},
		"Undelivered": {reason: "the statement is on its way to the target, and is lost there"},
		"Delivered":   {reason: "the statement reaches the target when its proxy is dead", delivered: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			p := newPassage(t, "use-"+lower(name), tc.durability)
			s := stacktest.Login(t, world, p.proxy, p.who)
			hold := p.held(t, s)
			statement, text := update(t, 51)
			h := mustHold(t, s, statement)
			hold()
			h.approve(t, "bob", "dba")
			used := p.marked(t, h)
			if tc.durability == "" {
				<-p.valve.arrived
			}
			never(t, text)
			stacktest.Must(t, p.proxy.Kill())
			if err := h.answer(t); err == nil {
				t.Error("the caller of a killed proxy was told that the statement ran")
			}
			want := 0
			if tc.delivered {
				p.valve.open(true)
				want = 1
				await(t, "the statement at the target", func(context.Context) error {
					if timesExecuted(t, text) == 0 {
						return errors.New("not there yet")
					}
					return nil
				})
			}
			p.free(t)
			stacktest.Must(t, p.proxy.Start(t.Context()))
			p.unknown(t, used)

			// Nothing brings the approval back.
			if object := h.phase(t, v1alpha1.ApprovalUsed); *object.Spec.Use != *used.Spec.Use {
				t.Errorf("used as %+v, want %+v", object.Spec.Use, used.Spec.Use)
			}
			refusedWith(t, h.decide(t.Context(), person(t, "carol", "dba"), v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove}), "used")
			refusedWith(t, mark(t.Context(), p.identity(t), h.phase(t, v1alpha1.ApprovalUsed), "another"), "use cannot be changed once it is set")
			again := mustHold(t, stacktest.Login(t, world, p.proxy, p.who), statement)
			if again.request.Name == h.request.Name {
				t.Error("the second execution did not ask anew")
			}
			if n := timesExecuted(t, text); n != want {
				t.Errorf("the target executed the statement %d times, want %d", n, want)
			}
		})
	}
}

// TestUseRace has two that say they are one replica mark an approval (checklist 35), by turns:
// the one that does not hold the operation first, both at the same instant, and that one last.
// The statement runs where its own proxy was first, and nowhere else. No replica marks in its own
// name what another holds.
func TestUseRace(t *testing.T) {
	p := newPassage(t, "use-race", "")
	t.Cleanup(func() { stacktest.Must(t, p.proxy.Signal(syscall.SIGCONT)) })
	theirs := p.identity(t)
	const first, last, turns, rounds = 0, 2, 3, 18
	wins := map[bool]int{}
	for round := range rounds {
		turn := round % turns
		s := stacktest.Login(t, world, p.proxy, p.who)
		statement, text := update(t, 52)
		h := mustHold(t, s, statement)
		watched, err := theirs.Watch(t.Context(), &v1alpha1.ApprovalRequestList{}, client.InNamespace(stack.Namespace), client.MatchingFields{"metadata.name": h.request.Name})
		stacktest.Must(t, err)
		tried := make(chan error, 1)
		go func() {
			tried <- p.contend(t, theirs, watched, turn == first, turn == last)
		}()
		if turn == first {
			stacktest.Must(t, p.proxy.Signal(syscall.SIGSTOP))
		}
		h.approve(t, "bob", "dba")
		used := p.marked(t, h)
		lost := <-tried
		watched.Stop()
		if turn == first {
			stacktest.Must(t, p.proxy.Signal(syscall.SIGCONT))
		}
		answer := h.answer(t)
		own := !used.Spec.Use.UsedAt.Time.Equal(falseUse(used))
		wins[own]++
		if own != (lost != nil) || turn == first && own || turn == last && !own {
			t.Errorf("turn %d: marked by its proxy: %t; the other was told: %v", turn, own, lost)
		}
		if n := timesExecuted(t, text); (answer == nil) != own || own != (n == 1) || n > 1 {
			t.Errorf("turn %d: marked by its proxy: %t; executed %d times, and its caller was answered: %v", turn, own, n, answer)
		}
	}
	t.Logf("of %d approvals %d were marked by the proxy that held the operation, %d by the other", rounds, wins[true], wins[false])
}

// contend marks an approval as if it were the proxy that holds the operation, once it is approved
// or, as the last, once it is marked; it returns what it is told.
func (p *passage) contend(t *testing.T, theirs client.Client, watched apiwatch.Interface, tries, last bool) error {
	t.Helper()
	var approved *v1alpha1.ApprovalRequest
	for event := range watched.ResultChan() {
		latest, ok := event.Object.(*v1alpha1.ApprovalRequest)
		switch {
		case !ok:
			continue
		case latest.Spec.Use == nil && latest.Status.Phase == v1alpha1.ApprovalApproved:
			approved = latest
		case latest.Spec.Use == nil:
			continue
		}
		if tries {
			refusedWith(t, mark(t.Context(), theirs, latest, p.name+"-2"), "only the holder of the operation can use its approval")
		}
		if approved == nil {
			approved = latest // it was marked before this watch had it
		}
		if !last || latest.Spec.Use != nil {
			return mark(t.Context(), theirs, approved, p.proxy.Instance)
		}
	}
	return errors.New("the watch ended")
}

// falseUse is when an approval was used as mark says, which is like no other.
func falseUse(request *v1alpha1.ApprovalRequest) time.Time {
	return request.CreationTimestamp.Add(-time.Hour)
}

// mark writes spec.use as a proxy does.
func mark(ctx context.Context, proxy client.Client, request *v1alpha1.ApprovalRequest, instance string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": request.UID, "resourceVersion": request.ResourceVersion},
		"spec":     map[string]any{"use": map[string]any{"usedAt": metav1.NewTime(falseUse(request)), "proxyInstance": instance}},
	})
	if err != nil {
		return err
	}
	return proxy.Patch(ctx, request.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
}

// unknown waits until the record says that the operation was let through by the approval, and
// that nobody knows what came of it.
func (p *passage) unknown(t *testing.T, used *v1alpha1.ApprovalRequest) {
	t.Helper()
	await(t, "the record of what is known", func(context.Context) error {
		decided, err := found(func(d record.Document) bool {
			return d.Type == record.OperationDecided && d.Session == used.Spec.Holder.Session && d.Approval != nil && d.Approval.UID == string(used.UID)
		})
		if err != nil {
			return err
		}
		result, err := found(func(d record.Document) bool {
			return d.Type == record.OperationResult && d.Session == decided.Session && d.OperationID == decided.OperationID
		})
		if err != nil {
			return err
		}
		if !strings.Contains(strings.Join(decided.Approval.Approvers, " "), "bob") || result.Result.Outcome != "Unknown" {
			return fmt.Errorf("recorded as %+v with result %+v", decided.Approval, result.Result)
		}
		_, err = found(func(d record.Document) bool { return d.Type == record.SessionEnd && d.Session == decided.Session })
		return err
	})
}

// valve is the way of one session's bytes to the target, which a test holds up.
type valve struct {
	// arrived is closed when the first bytes are held up.
	arrived chan struct{}
	// decided says whether they get there.
	decided chan bool
}

func newValve() *valve { return &valve{arrived: make(chan struct{}), decided: make(chan bool, 1)} }

// open lets what is held up go, or drops it with the connection.
func (v *valve) open(deliver bool) {
	select {
	case v.decided <- deliver:
	default: // it was decided before
	}
}

var errDropped = fmt.Errorf("dropped by the test: %w", syscall.ECONNRESET)

// pass is called with each write to the target.
func (v *valve) pass() error {
	close(v.arrived)
	if !<-v.decided {
		return errDropped
	}
	return nil
}

// valved is a connection to the target with a valve at it, once there is one.
type valved struct {
	net.Conn
	passage *passage
}

func (c valved) Write(b []byte) (int, error) {
	if v := c.passage.at(c.LocalAddr()); v != nil {
		if err := v.pass(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}
