// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestLive prints how soon changes are felt. It fails where one is not felt at all; how
// soon is for the reader to judge, who knows what else the machine did.
func TestLive(t *testing.T) {
	size, began, out := measured(t), load(), &results{}
	t.Run("Connections", func(t *testing.T) { connections(t, size, out) })
	t.Run("Replicas", func(t *testing.T) { replicas(t, size, out) })
	t.Run("Approvals", func(t *testing.T) { approvals(t, size, out) })
	t.Run("Schedule", func(t *testing.T) { schedule(t, size, out) })
	out.print()
	fmt.Printf("%d watches. Before: %s. After: %s.\n", size.watches, began, load())
}

const ordersCount = "SELECT count(*) FROM orders"

var (
	talk       = stack.Talk()
	readOrders = stack.Allow("read", []string{"select"}, "public.orders")
	everywhere = []v1alpha1.ConnectionSelector{{Name: "*"}}
)

// change makes a change, and returns when the API server had accepted it and how a
// snapshot that holds it is known.
type change func(t *testing.T) (accepted time.Time, holds func(*snapshot.Snapshot) bool)

// sort is a change that takes access away, with its opposite.
type sort struct {
	taken, given string
	take, give   change
}

// scene is where changes are made.
type scene struct {
	// user works nowhere else: what another scene gave and took away is felt for a while.
	user   string
	size   sizes
	out    *results
	fleet  *fleet
	probes []*probe
}

// measure makes the changes of one sort, in turns, and adds the rows. Access is given
// when it begins.
func (s *scene) measure(t *testing.T, of sort) {
	t.Helper()
	var taken, given sample
	if s.size.changes > 1 {
		// The first is not counted: the manager is busy with what was created for it.
		s.once(t, of.take, false, &sample{})
		s.once(t, of.give, true, &sample{})
	}
	for range s.size.changes {
		s.once(t, of.take, false, &taken)
		s.once(t, of.give, true, &given)
	}
	for _, one := range []struct {
		what string
		of   *sample
	}{{of.taken, &taken}, {of.given, &given}} {
		s.out.add(t, one.what, "a proxy has it", one.of.each)
		s.out.add(t, "", fmt.Sprintf("the last of %d has it", len(s.fleet.watchers)), one.of.last)
		s.out.add(t, "", "a session feels it", one.of.felt)
	}
}

// sample is what was measured of one change: until each watcher and the last of them
// had it, and until sessions felt it.
type sample struct{ each, last, felt series }

func (s *scene) once(t *testing.T, do change, allows bool, into *sample) {
	t.Helper()
	awaitAll(t, s.probes, !allows)
	// What the manager does every second must not fall on each change alike.
	<-time.After(time.Duration(rand.Int64N(int64(time.Second))))
	mark := time.Now()
	accepted, holds := do(t)
	times := s.fleet.await(t, mark, holds)
	into.each.add(accepted, times...)
	into.last.add(accepted, slices.MaxFunc(times, time.Time.Compare))
	felt := awaitAll(t, s.probes, allows)
	for i, at := range felt {
		if at.Before(mark) {
			t.Fatalf("the session at %s broke off before the change: %v", s.probes[i].proxy.Instance, s.probes[i].said)
		}
	}
	into.felt.add(accepted, felt...)
}

// atWork puts somebody to work at proxies until the test ends, and waits until all may.
func (s *scene) atWork(t *testing.T, who issuer.Request, proxies ...*stack.Proxy) {
	t.Helper()
	s.probes = nil
	for _, proxy := range proxies {
		s.probes = append(s.probes, startProbe(t, proxy, who, ordersCount))
	}
	awaitAll(t, s.probes, true)
}

// connections measures what one object does to as many Connections as there are watches.
func connections(t *testing.T, size sizes, out *results) {
	t.Helper()
	names := manyConnections(t, size.watches)
	proxies := []*stack.Proxy{
		world.Proxy(),
		stacktest.StartProxy(t, world, stack.ProxyOptions{Connection: names[0]}),
		stacktest.StartProxy(t, world, stack.ProxyOptions{Connection: names[1]}),
	}
	s := &scene{size: size, out: out, fleet: startFleet(t, names...)}
	for _, of := range []struct {
		user    string
		name    string
		measure func(t *testing.T, s *scene, proxies []*stack.Proxy)
	}{
		{"lena", "Edited", edited},
		{"lisa", "Deleted", deleted},
		{"lola", "ClusterEdited", clusterEdited},
		{"lucy", "Labelled", labelled},
		{"petra", "Provider", provider},
		{"rhea", "Credential", credential},
	} {
		s.user = of.user
		t.Run(of.name, func(t *testing.T) { of.measure(t, s, proxies) })
	}
}

// replicas measures what a policy of one Connection does to as many proxies of it.
func replicas(t *testing.T, size sizes, out *results) {
	t.Helper()
	s := &scene{size: size, out: out, user: "rosa", fleet: startFleet(t, slices.Repeat([]string{stack.Connection}, size.watches)...)}
	policy := stack.Policy("live", stack.Users(s.user), talk, readOrders)
	stacktest.Give(t, world, policy)
	s.atWork(t, issuer.Request{User: s.user}, world.Proxy(), stacktest.StartProxy(t, world, stack.ProxyOptions{}))
	s.measure(t, editing(policy, "edited, one Connection of many proxies"))
}

// manyConnections are as many as are wanted, all like the shop's.
func manyConnections(t *testing.T, count int) []string {
	t.Helper()
	model, err := world.ShopConnection(t.Context())
	stacktest.Must(t, err)
	var names []string
	for i := range max(2, count) {
		name := fmt.Sprintf("db-%d", i)
		stacktest.Create(t, world, world.CredentialSecret(name+"-credential", name, world.Canary))
		c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: name}, Spec: *model.Spec.DeepCopy()}
		c.Spec.Credential.Secret.Name = name + "-credential"
		c.Spec.Proxy.External.Port = 0
		stacktest.Create(t, world, c)
		names = append(names, name)
	}
	return names
}
