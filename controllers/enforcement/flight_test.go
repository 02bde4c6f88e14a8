// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enforcement

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/config/admission"
)

// apiServer enforces the admission policies, and counts what it is sent.
type apiServer struct {
	creates, patches atomic.Int32
	// slow, where not nil, is waited for by each forged create, which says on begun that it
	// has begun.
	slow, begun chan struct{}
	// listing, where not nil, is asked before each list of policies.
	listing func() error
}

func (s *apiServer) prover(t *testing.T) *Prover {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	const manager = "system:serviceaccount:doorward-system:doorward-manager"
	objects, err := admission.Objects(manager)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(policy string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "approvalrequests"}, forgedName, fmt.Errorf("ValidatingAdmissionPolicy '%s' denied request", policy))
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if _, ok := object.(*corev1.ConfigMap); ok {
				object.SetCreationTimestamp(metav1.Now())
				return c.Create(ctx, object, options...)
			}
			s.creates.Add(1)
			if s.slow != nil {
				select {
				case s.begun <- struct{}{}:
				default:
				}
				<-s.slow
			}
			return refused(createPolicy)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if s.listing != nil {
				if err := s.listing(); err != nil {
					return err
				}
			}
			return c.List(ctx, list, options...)
		},
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			s.patches.Add(1)
			return refused(updatePolicy)
		},
	}).Build()
	p, err := New(Options{
		Client: c, ManagerUser: manager, Namespace: "doorward-system", MACKey: []byte("key"),
		ProbeNamespace: func(context.Context) (string, error) { return "shop", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOneProofForAll: checklist 38, whoever makes many requests does not have others wait for
// a proof of each: those who wait share the one that begins next.
func TestOneProofForAll(t *testing.T) {
	server := &apiServer{}
	p := server.prover(t)
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	perProof := server.creates.Swap(0)
	server.slow, server.begun = make(chan struct{}), make(chan struct{}, 1)
	request := &v1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r", CreationTimestamp: metav1.NewTime(time.Now().Add(time.Hour))}}
	waits := make(chan struct{}, 64)
	var all sync.WaitGroup
	believe := func() {
		all.Go(func() {
			if err := p.Believe(waiting{t.Context(), waits}, request); err != nil {
				t.Error(err)
			}
		})
	}
	believe()
	<-server.begun
	for range 50 {
		believe()
	}
	for range 49 { // all but the one whose proof is next
		<-waits
	}
	close(server.slow)
	all.Wait()
	if got := server.creates.Load(); got != 2*perProof {
		t.Errorf("%d forged requests were sent for 51 believers, want those of two proofs: %d", got, 2*perProof)
	}
	if got := server.patches.Load(); got != 51 {
		t.Errorf("%d forged decisions, want one for each", got)
	}
}

// waiting is a context that says when somebody waits for its end.
type waiting struct {
	context.Context //nolint:containedctx // it is one
	waits           chan<- struct{}
}

func (w waiting) Done() <-chan struct{} {
	select {
	case w.waits <- struct{}{}:
	default:
	}
	return w.Context.Done()
}

// TestPilotLeaves: who waited with somebody who gave up still gets a proof.
func TestPilotLeaves(t *testing.T) {
	p := (&apiServer{}).prover(t)
	f, pilot := p.flights.board()
	if !pilot {
		t.Fatal("the first does not fly")
	}
	got := make(chan error, 1)
	go func() {
		_, err := p.Interval(t.Context())
		got <- err
	}()
	p.flights.takeOff()
	f.err = context.Canceled
	close(f.done)
	if err := <-got; err != nil {
		t.Errorf("the end of one ended another: %v", err)
	}
}

// TestIntervalNames: an interval that was interrupted has another name, also where nothing
// else changed.
func TestIntervalNames(t *testing.T) {
	p := (&apiServer{}).prover(t)
	name := func() string {
		t.Helper()
		name, err := p.Interval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	first := name()
	if again := name(); again != first {
		t.Error("an unbroken interval changed its name")
	}
	p.interval.UID = "another"
	if name() == first {
		t.Error("another interval has the same name")
	}
}

// TestUnansweredProof: an API server that does not answer ends no interval, at whatever moment
// of a proof: what was asked for and approved does not become void for good.
func TestUnansweredProof(t *testing.T) {
	server := &apiServer{}
	p := server.prover(t)
	name, err := p.Interval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const lists = 8 // four kinds, twice
	for failing := range lists {
		asked, lost := 0, apierrors.NewTimeoutError("no answer", 1)
		server.listing = func() error {
			asked++
			if asked-1 == failing {
				return lost
			}
			return nil
		}
		if err := p.Check(t.Context()); !errors.Is(err, lost) || errors.Is(err, ErrNotEnforced) {
			t.Errorf("list %d: %v, want that nothing was found out", failing, err)
		}
		server.listing = nil
		again, err := p.Interval(t.Context())
		if err != nil || again != name {
			t.Errorf("list %d: the interval did not go on: %v", failing, err)
		}
	}
}

// TestProofPanics: those who wait for a proof that breaks off are not left waiting, believe
// nothing, and the next proof is made.
func TestProofPanics(t *testing.T) {
	server := &apiServer{}
	p := server.prover(t)
	server.listing = func() error { panic("broken") }
	f, pilot := p.flights.board()
	if !pilot {
		t.Fatal("the first does not fly")
	}
	func() {
		defer func() { _ = recover() }()
		p.fly(t.Context(), f)
	}()
	select {
	case <-f.done:
	default:
		t.Fatal("who waits for it waits forever")
	}
	if f.err == nil {
		t.Error("it is taken for a proof")
	}
	server.listing = nil
	if _, err := p.Interval(t.Context()); err != nil {
		t.Error(err)
	}
}
