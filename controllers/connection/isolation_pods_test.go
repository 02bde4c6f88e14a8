// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// crowd is a namespace with one isolated Connection and what is beside it.
type crowd struct {
	t      *testing.T
	client client.Client
	r      *Reconciler
	scope  *scope
}

const crowdNamespace = "shop-access"

func newCrowd(t *testing.T, objects ...client.Object) *crowd {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &crowd{t: t, client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()}
	c.r = New(Options{Client: c.client, Metadata: c.client})
	c.scope = &scope{connection: isolatedConnection("shop"), now: time.Unix(1800000000, 0)}
	return c
}

// shared are the pods that are foreign.
func (c *crowd) shared() string {
	c.t.Helper()
	c.scope.surroundings = surroundings{}
	target := labels.SelectorFromSet(labels.Set{"app": "db"})
	if _, err := c.r.pods(c.t.Context(), c.scope, target); err != nil {
		c.t.Fatal(err)
	}
	return strings.Join(c.scope.surroundings.shared, " ")
}

func (c *crowd) remove(object client.Object) {
	c.t.Helper()
	if err := c.client.Delete(c.t.Context(), object); err != nil {
		c.t.Fatal(err)
	}
}

func isolatedConnection(name string) *v1alpha1.Connection {
	c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: crowdNamespace, Name: name, UID: types.UID("uid-" + name)}}
	c.Spec.Proxy.Placement = v1alpha1.PlacementManaged
	return c
}

// of gives an object a controller.
func of[T client.Object](object T, kind, group string, owner metav1.Object) T {
	yes := true
	object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: group, Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: &yes}})
	return object
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: crowdNamespace, Name: name, UID: types.UID("uid-" + name)}
}

// disguised is a pod with every label that a proxy's pod has.
func disguised(name string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: named(name)}
	pod.CreationTimestamp = metav1.Unix(1800000000-3600, 0)
	pod.Labels = proxyLabels(isolatedConnection("shop"))
	pod.Labels[kit.LabelManagedBy] = "doorward"
	return pod
}

const connectionGroup = "doorward.dev/v1alpha1"

// TestForeignPods is checklist 52: a pod is a proxy where a workload made it that the
// manager made for a Connection that exists, whatever its labels are.
func TestForeignPods(t *testing.T) {
	shop, till, gone := isolatedConnection("shop"), isolatedConnection("till"), isolatedConnection("gone")
	outside := isolatedConnection("outside")
	outside.Spec.Proxy.Placement = v1alpha1.PlacementExternal
	deployment := of(&appsv1.Deployment{ObjectMeta: named("doorward-shop")}, "Connection", connectionGroup, shop)
	set := of(&appsv1.ReplicaSet{ObjectMeta: named("doorward-shop-1")}, "Deployment", "apps/v1", deployment)
	stateful := of(&appsv1.StatefulSet{ObjectMeta: named("doorward-till")}, "Connection", connectionGroup, till)
	orphaned := of(&appsv1.StatefulSet{ObjectMeta: named("doorward-gone")}, "Connection", connectionGroup, gone)
	external := of(&appsv1.StatefulSet{ObjectMeta: named("doorward-outside")}, "Connection", connectionGroup, outside)
	another := of(&appsv1.StatefulSet{ObjectMeta: named("doorward-shop.2")}, "Connection", connectionGroup, shop)
	strange := &appsv1.ReplicaSet{ObjectMeta: named("doorward-shop-2")}
	younger := disguised("x")
	younger.CreationTimestamp = metav1.Unix(1800000000-10, 0)
	reborn := &appsv1.ReplicaSet{ObjectMeta: named("doorward-shop-1")}
	reborn.UID = "another"
	for name, tc := range map[string]struct {
		reason  string
		pod     *corev1.Pod
		foreign bool
	}{
		"Deployment":    {"made for a Connection", of(disguised("x"), "ReplicaSet", "apps/v1", set), false},
		"StatefulSet":   {"of another Connection of the namespace", of(disguised("x"), "StatefulSet", "apps/v1", stateful), false},
		"Labels":        {"anybody can set them", disguised("x"), true},
		"Young":         {"also at once", younger, true},
		"OwnReplicaSet": {"that somebody made", of(disguised("x"), "ReplicaSet", "apps/v1", strange), true},
		"OtherUID":      {"the name is not enough", of(disguised("x"), "ReplicaSet", "apps/v1", reborn), true},
		"NoSuchOwner":   {"an owner that is made up", of(disguised("x"), "StatefulSet", "apps/v1", &appsv1.StatefulSet{ObjectMeta: named("doorward-none")}), true},
		"NotSeenYet":    {"the caches may lag behind", of(younger.DeepCopy(), "StatefulSet", "apps/v1", &appsv1.StatefulSet{ObjectMeta: named("doorward-none")}), false},
		"NoConnection":  {"nobody asked for it any more", of(disguised("x"), "StatefulSet", "apps/v1", orphaned), true},
		"External":      {"that Connection has no pods", of(disguised("x"), "StatefulSet", "apps/v1", external), true},
		"OtherWorkload": {"not the one that the manager keeps", of(disguised("x"), "StatefulSet", "apps/v1", another), true},
		"Job":           {"nothing of the manager's", of(disguised("x"), "Job", "batch/v1", deployment), true},
		"OtherGroup":    {"a kind of the same name", of(disguised("x"), "StatefulSet", "apps.example/v1", stateful), true},
		"Connection":    {"the manager makes no pods", of(disguised("x"), "Connection", connectionGroup, shop), true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, shop, till, outside, deployment, set, stateful, orphaned, external, another, strange, tc.pod.DeepCopy())
			if got := c.shared(); (got == "x") != tc.foreign {
				t.Errorf("foreign: %q, want %t: %s", got, tc.foreign, tc.reason)
			}
		})
	}
}

// TestProxiesThatLeave: a Connection that is deleted, or gets another workload, has pods
// until their sessions are over. They were proxies, and nothing else comes in their name.
func TestProxiesThatLeave(t *testing.T) {
	till := isolatedConnection("till")
	stateful := of(&appsv1.StatefulSet{ObjectMeta: named("doorward-till")}, "Connection", connectionGroup, till)
	leaving := of(disguised("doorward-till-0"), "StatefulSet", "apps/v1", stateful)
	c := newCrowd(t, isolatedConnection("shop"), till, stateful, leaving)
	if got := c.shared(); got != "" {
		t.Fatalf("foreign: %q", got)
	}
	c.remove(till)
	if got := c.shared(); got != "" {
		t.Errorf("its Connection is gone: foreign: %q", got)
	}
	c.remove(stateful)
	late := of(disguised("doorward-till-1"), "StatefulSet", "apps/v1", stateful)
	if err := c.client.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if got := c.shared(); got != "doorward-till-1" {
		t.Errorf("foreign: %q, want the pod that came afterwards", got)
	}
	c.remove(leaving)
	c.remove(late)
	if got := c.shared(); got != "" || len(c.r.proxies.all) != 0 {
		t.Errorf("foreign: %q, remembered: %v", got, c.r.proxies.all)
	}
}

// TestMadeFor: whose proxies a NetworkPolicy may let in besides the Connection's own.
func TestMadeFor(t *testing.T) {
	till := isolatedConnection("till")
	impostor := isolatedConnection("till")
	impostor.UID = "another"
	c := newCrowd(t, till)
	for name, tc := range map[string]struct {
		object client.Object
		want   bool
	}{
		"Own":      {of(&corev1.Pod{ObjectMeta: named("doorward-till")}, "Connection", connectionGroup, till), true},
		"Name":     {of(&corev1.Pod{ObjectMeta: named("doorward-till.mine")}, "Connection", connectionGroup, till), false},
		"UID":      {of(&corev1.Pod{ObjectMeta: named("doorward-till")}, "Connection", connectionGroup, impostor), false},
		"Kind":     {of(&corev1.Pod{ObjectMeta: named("doorward-till")}, "AccessPolicy", connectionGroup, till), false},
		"Group":    {of(&corev1.Pod{ObjectMeta: named("doorward-till")}, "Connection", "example.org/v1", till), false},
		"Gone":     {of(&corev1.Pod{ObjectMeta: named("doorward-none")}, "Connection", connectionGroup, isolatedConnection("none")), false},
		"Nobody's": {&corev1.Pod{ObjectMeta: named("doorward-till")}, false},
	} {
		if got, err := c.r.madeFor(t.Context(), tc.object); err != nil || (got != nil) != tc.want {
			t.Errorf("%s: %v, %v, want %t", name, got, err, tc.want)
		}
	}
}
