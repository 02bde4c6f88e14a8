// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/doorward/doorward/api/v1alpha1"
)

// believer believes everything, and counts.
type believer struct {
	proofs   int
	interval string
}

func (b *believer) Believe(context.Context, *v1alpha1.ApprovalRequest) error {
	b.proofs++
	return nil
}

func (b *believer) Interval(context.Context) (string, error) { return b.interval, nil }

// trusting believes everything, and is safe for concurrent use.
type trusting struct{}

func (trusting) Believe(context.Context, *v1alpha1.ApprovalRequest) error { return nil }

func (trusting) Interval(context.Context) (string, error) { return strings.Repeat("a", 64), nil }

// office is a Reconciler over objects that nobody else changes.
type office struct {
	*Reconciler
	client   client.WithWatch
	believer *believer
	events   *events.FakeRecorder
	outcomes []string
	// lists are those of ApprovalRequests that were read from the API server.
	lists atomic.Int32
}

func newOffice(t *testing.T, objects ...client.Object) *office {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	o := &office{believer: &believer{interval: strings.Repeat("a", 64)}, events: events.NewFakeRecorder(64)}
	f := brokenFacts()
	policy := &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", UID: "p", Generation: 1},
		Spec:       v1alpha1.AccessPolicySpec{Connections: []v1alpha1.ConnectionSelector{{Name: "*"}}, Rules: f.Policies["p"].Rules},
	}
	f.Connection.Namespace = "shop"
	o.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, policy, f.Connection)...).WithStatusSubresource(&v1alpha1.ApprovalRequest{}).
		WithInterceptorFuncs(interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			review, ok := object.(*authorizationv1.SubjectAccessReview)
			if !ok {
				return c.Create(ctx, object, options...)
			}
			review.Status.Allowed = review.Spec.User != "eve"
			return nil
		}}).Build()
	live := interceptor.NewClient(o.client, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		o.lists.Add(1)
		return c.List(ctx, list, options...)
	}})
	o.Reconciler = New(Options{
		Client: o.client, Live: live, Believer: o.believer, Events: o.events, Now: func() time.Time { return now },
		BrokeGlass: func(outcome string) { o.outcomes = append(o.outcomes, outcome) },
	})
	return o
}

// made is a request of scope Session as users make them.
func made(name string, change ...func(*v1alpha1.ApprovalRequest)) *v1alpha1.ApprovalRequest {
	r := brokenFacts().Request
	r.Name, r.UID, r.Labels = name, types.UID(name), map[string]string{v1alpha1.LabelScope: "Session"}
	r.Spec.Session.BreakGlass = ""
	r.CreationTimestamp = metav1.NewTime(now)
	for _, c := range change {
		c(r)
	}
	return r
}

func ahead(r *v1alpha1.ApprovalRequest) { r.Spec.Session.BreakGlass = v1alpha1.BreakGlassDeclared }

func (o *office) judge(t *testing.T, name string) *v1alpha1.ApprovalRequest {
	t.Helper()
	key := client.ObjectKey{Namespace: "shop", Name: name}
	if _, err := o.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	r := &v1alpha1.ApprovalRequest{}
	if err := o.client.Get(t.Context(), key, r); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBreakGlassLife: loud, bounded, and reviewed before it goes.
func TestBreakGlassLife(t *testing.T) {
	o := newOffice(t, made("a", ahead), made("b", ahead), made("c", ahead))
	for name, want := range map[string]v1alpha1.ApprovalPhase{"c": v1alpha1.ApprovalVoid, "a": v1alpha1.ApprovalApproved, "b": v1alpha1.ApprovalApproved} {
		if r := o.judge(t, name); r.Status.Phase != want {
			t.Errorf("%s is %s, want %s: two may be unreviewed, in the order in which they were made", name, r.Status.Phase, want)
		}
	}
	warned := 0
	for range len(o.events.Events) {
		if e := <-o.events.Events; strings.HasPrefix(e, "Warning BreakGlass alice goes ahead without approvals by ApprovalRequest") && strings.Contains(e, "sha256:") && strings.HasSuffix(e, "INC-1") {
			warned++
		}
	}
	if warned != 4 {
		t.Errorf("%d warnings, want one on each request and one on its Connection", warned)
	}
	a := o.judge(t, "a")
	a.Spec.Revoke = &v1alpha1.Revocation{Username: "alice", Reason: "done"}
	a.Generation = 2
	if err := o.client.Update(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if a = o.judge(t, "a"); a.Status.Phase != v1alpha1.ApprovalRevoked || !a.AwaitsReview() {
		t.Fatalf("phase %s, %+v", a.Status.Phase, a.Status.Conditions)
	}
	o.Now = func() time.Time { return now.Add(365 * 24 * time.Hour) }
	if a = o.judge(t, "a"); a == nil {
		t.Fatal("it went before it was reviewed")
	}
	review := func(who string) {
		a.Spec.Review = &v1alpha1.Review{OperationDigest: a.Status.Session.Digest, Reason: "seen", Reviewer: &v1alpha1.DecisionApprover{Username: who, Groups: []string{"leads"}}}
		a.Generation++
		if err := o.client.Update(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		result, err := o.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(a)})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.client.Get(t.Context(), client.ObjectKeyFromObject(a), a); err != nil {
			t.Fatal(err)
		}
		if counts := !a.AwaitsReview(); counts != (result.RequeueAfter > retention-time.Hour) {
			t.Errorf("it counts: %t; to come again in %s, want that after what it is kept for where it counts", counts, result.RequeueAfter)
		}
	}
	says := func() string {
		return meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReviewed).Reason
	}
	review("eve")
	if says() != v1alpha1.ReasonNotEntitled {
		t.Errorf("who lacks the verb reviewed it: %s", says())
	}
	// The proof was interrupted: nobody knows what happened in between.
	o.believer.interval = strings.Repeat("b", 64)
	review("bob")
	if says() != v1alpha1.ReasonAdmissionNotEnforced {
		t.Errorf("a review of another interval: %s", says())
	}
	if a = o.judge(t, "a"); says() != v1alpha1.ReasonAdmissionNotEnforced {
		t.Errorf("the same review, looked at again: %s", says())
	}
	o.Now = time.Now // conditions have real times
	review("bob")
	if says() != v1alpha1.ReasonReviewed || a.AwaitsReview() {
		t.Errorf("the second review: %s", says())
	}
	if got := strings.Join(o.outcomes, " "); strings.Count(got, BreakGlassActivated) != 2 || strings.Count(got, BreakGlassRefused) != 1 || strings.Count(got, BreakGlassReviewed) != 1 {
		t.Errorf("counted %s", got)
	}
	o.Now = func() time.Time { return time.Now().Add(8 * 24 * time.Hour) } // conditions have real times
	if o.judge(t, "a") != nil {
		t.Error("it stays after its review")
	}
}

// TestUnnamedCostsNoList: checklist 38, who is not named reads no lists from the API server; of
// who is, they are read page by page.
func TestUnnamedCostsNoList(t *testing.T) {
	o := newOffice(t, made("a", ahead, func(r *v1alpha1.ApprovalRequest) { r.Spec.Requester.Groups = []string{"others"} }), made("b", ahead))
	if r := o.judge(t, "a"); r.Status.Phase != v1alpha1.ApprovalVoid || o.lists.Load() != 0 {
		t.Errorf("phase %s after %d lists, want Void after none", r.Status.Phase, o.lists.Load())
	}
	if r := o.judge(t, "b"); r.Status.Phase != v1alpha1.ApprovalApproved || o.lists.Load() == 0 {
		t.Errorf("phase %s after %d lists", r.Status.Phase, o.lists.Load())
	}
}

// TestUnreviewedIsPaged: what is on a later page counts.
func TestUnreviewedIsPaged(t *testing.T) {
	o := newOffice(t, made("z", ahead))
	used := func(r *v1alpha1.ApprovalRequest) {
		r.Status.Phase, r.Status.BreakGlass = v1alpha1.ApprovalExpired, &v1alpha1.BreakGlassUse{}
	}
	o.Live = interceptor.NewClient(o.client, interceptor.Funcs{List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		var asked client.ListOptions
		asked.ApplyOptions(options)
		if asked.Limit != listedAtOnce {
			t.Errorf("a page of %d, want %d", asked.Limit, listedAtOnce)
		}
		all, ok := list.(*v1alpha1.ApprovalRequestList)
		if !ok {
			return fmt.Errorf("unexpected %T", list)
		}
		page := 0
		if asked.Continue != "" {
			page = int(asked.Continue[0] - '0')
		}
		if page < maxUnreviewed-1 {
			all.Continue = fmt.Sprint(page + 1)
		}
		all.Items = append(all.Items, *made(fmt.Sprintf("page%d", page), used))
		return nil
	}})
	if r := o.judge(t, "z"); r.Status.Phase != v1alpha1.ApprovalVoid {
		t.Errorf("phase %s, want Void: %d are unreviewed", r.Status.Phase, maxUnreviewed)
	}
}

// TestBreakGlassRace: all at once, and the cache shows nothing of it: no more than may be go
// ahead.
func TestBreakGlassRace(t *testing.T) {
	const all = 12
	var objects []client.Object
	for i := range all {
		objects = append(objects, made(fmt.Sprintf("r%02d", i), ahead))
	}
	o := newOffice(t, objects...)
	o.BrokeGlass, o.Believer = nil, trusting{}
	var counting atomic.Int32
	var once, away sync.Once
	turned, second := make(chan struct{}), make(chan struct{})
	// Each is counted as if it had been made after those that are judged, and before the rest:
	// what is not judged yet keeps nobody back.
	o.Live = interceptor.NewClient(o.client, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if err := c.List(ctx, list, options...); err != nil {
			return err
		}
		requests, ok := list.(*v1alpha1.ApprovalRequestList)
		if !ok {
			return fmt.Errorf("unexpected %T", list)
		}
		judged := requests.Items[:0]
		for i := range requests.Items {
			if requests.Items[i].Status.Phase != "" {
				judged = append(judged, requests.Items[i])
			}
		}
		requests.Items = judged
		// The first waits until another was turned away, or counts as well.
		if counting.Add(1) == 1 {
			select {
			case <-turned:
			case <-second:
				t.Error("two count at the same time")
			}
		} else {
			once.Do(func() { close(second) })
		}
		return nil
	}})
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			key := client.ObjectKey{Namespace: "shop", Name: fmt.Sprintf("r%02d", i)}
			for {
				result, err := o.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
				if err != nil {
					t.Error(err)
					return
				}
				if result.RequeueAfter != turnOfBreaking {
					return
				}
				away.Do(func() { close(turned) })
			}
		})
	}
	running.Wait()
	ahead := 0
	for i := range all {
		r := &v1alpha1.ApprovalRequest{}
		if err := o.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: fmt.Sprintf("r%02d", i)}, r); err != nil {
			t.Fatal(err)
		}
		if r.Status.BreakGlass != nil {
			ahead++
		}
	}
	if ahead != maxUnreviewed {
		t.Errorf("%d of %d go ahead at once, want %d", ahead, all, maxUnreviewed)
	}
}

// TestRetiredAfterConflict: checklist 38, a request that somebody writes to while it is deleted
// is deleted later, and not kept for good.
func TestRetiredAfterConflict(t *testing.T) {
	o := newOffice(t, made("old", func(r *v1alpha1.ApprovalRequest) {
		r.Status.Phase, r.CreationTimestamp = v1alpha1.ApprovalVoid, metav1.NewTime(now.Add(-retention))
	}))
	o.Client = interceptor.NewClient(o.client, interceptor.Funcs{Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
		return apierrors.NewConflict(v1alpha1.Resource("approvalrequests"), "old", errors.New("it was written meanwhile"))
	}})
	result, err := o.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "old"}})
	if err != nil || result.RequeueAfter <= 0 {
		t.Errorf("Reconcile() = %+v, %v, want that it is looked at again", result, err)
	}
	o.Client = o.client
	if r := o.judge(t, "old"); r != nil {
		t.Errorf("it is still there: %s", r.Status.Phase)
	}
}
