// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stacktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

// The ports of the pod that Inside makes, which the kubelet forwards to a process.
const (
	servePort  = 6543
	reviewPort = 8444
)

// Inside makes a Connection like the shop's, and its analysts' policy, and starts a proxy
// whose name only the cluster knows: that of a Service, with a pod on a node whose kubelet
// forwards ports to the process. It answers questions about access, too.
func Inside(t *testing.T, world *stack.Stack, name string) {
	t.Helper()
	inner, shop := &v1alpha1.Connection{}, &v1alpha1.Connection{}
	Must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: stack.Connection}, shop))
	inner.Namespace, inner.Name = stack.Namespace, name
	inner.Spec = *shop.Spec.DeepCopy()
	inner.Spec.Proxy.External.ServerNames = []string{name + "." + stack.Namespace + ".svc"}
	inner.Spec.Credential.Secret.Name = name + "-credential"
	Create(t, world, world.CredentialSecret(name+"-credential", name, world.Canary))
	Create(t, world, inner)
	policy := &v1alpha1.AccessPolicy{}
	Must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: "analysts"}, policy))
	policy.ObjectMeta = metav1.ObjectMeta{Namespace: stack.Namespace, Name: name + "-analysts"}
	policy.Spec.Connections[0].Name = name
	Create(t, world, policy)
	Await(t, "the Connection's endpoint", func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(inner), inner); err != nil || inner.Status.Endpoint == "" {
			return fmt.Errorf("no endpoint yet: %w", err)
		}
		return nil
	})
	questions, err := proc.FreeAddress(t.Context())
	Must(t, err)
	proxy := StartProxy(t, world, stack.ProxyOptions{Connection: name, Args: []string{"--review-address=" + stack.Namespace + "/" + name + "=" + questions}})
	Must(t, world.AwaitPolicy(t.Context(), name, policy.Name))
	node := httptest.NewTLSServer(kubelet(name+"-0", map[string]string{strconv.Itoa(servePort): proxy.Address, strconv.Itoa(reviewPort): questions}))
	t.Cleanup(node.Close)
	place(t, world, inner, node.Listener.Addr())
}

// place makes a node, and a pod and a Service there, as they are in a cluster that runs
// the proxy.
func place(t *testing.T, world *stack.Stack, inner *v1alpha1.Connection, kubelet net.Addr) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(world.Control.Direct)
	Must(t, err)
	port := func(address string) int32 {
		_, text, err := net.SplitHostPort(address)
		number, parseErr := strconv.ParseInt(text, 10, 32)
		Must(t, errors.Join(err, parseErr))
		return int32(number)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + inner.Name}}
	Create(t, world, node)
	node.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port(kubelet.String())}},
	}
	_, err = clients.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	Must(t, err)
	labels := map[string]string{"app": inner.Name}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: inner.Namespace, Name: inner.Name + "-0", Labels: labels},
		Spec: corev1.PodSpec{NodeName: node.Name, TerminationGracePeriodSeconds: new(int64), Containers: []corev1.Container{{
			Name: "proxy", Image: "proxy", Ports: []corev1.ContainerPort{{Name: "callers", ContainerPort: servePort}},
		}}},
	}
	Create(t, world, pod)
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	_, err = clients.CoreV1().Pods(pod.Namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	Must(t, err)
	Create(t, world, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: inner.Namespace, Name: inner.Name},
		Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{
			{Name: "postgres", Port: port(inner.Status.Endpoint), TargetPort: intstr.FromString("callers")},
			{Name: "review", Port: reviewPort},
		}},
	})
}

// kubelet forwards ports of one pod as a node's does, to addresses of this machine.
// Everything else on the way is real: the API server, the client, the proxy.
func kubelet(pod string, to map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/portForward/"+stack.Namespace+"/"+pod) {
			http.NotFound(w, r)
			return
		}
		if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
			return
		}
		streams := make(chan httpstream.Stream, 16)
		conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
			streams <- s
			return nil
		})
		if conn == nil {
			return
		}
		defer func() { _ = conn.Close() }()
		var group sync.WaitGroup
		defer group.Wait()
		for {
			select {
			case <-conn.CloseChan():
				return
			case stream := <-streams:
				if stream.Headers().Get("streamType") != "data" {
					_ = stream.Close() // nothing went wrong
					continue
				}
				group.Go(func() { pipe(stream, to[stream.Headers().Get("port")]) })
			}
		}
	})
}

func pipe(stream httpstream.Stream, to string) {
	var dialer net.Dialer
	target, err := dialer.DialContext(context.Background(), "tcp", to)
	if err != nil {
		_ = stream.Reset()
		return
	}
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(target, stream)
		_ = target.Close()
	})
	_, _ = io.Copy(stream, target)
	_ = stream.Close()
	group.Wait()
}
