// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stacktest

import (
	"context"
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
	_, endpoint, err := net.SplitHostPort(inner.Status.Endpoint)
	Must(t, err)
	number, err := strconv.ParseInt(endpoint, 10, 32)
	Must(t, err)
	Behind(t, world, stack.Namespace, name, []corev1.ServicePort{
		{Name: "postgres", Port: int32(number), TargetPort: intstr.FromString("callers")},
		{Name: "review", Port: reviewPort},
	}, map[int32]string{servePort: proxy.Address, reviewPort: questions})
}

// Behind makes a node, and a pod and a Service there, as they are in a cluster that runs
// what listens at the addresses, by the pod's ports.
func Behind(t *testing.T, world *stack.Stack, namespace, name string, ports []corev1.ServicePort, to map[int32]string) {
	t.Helper()
	kubelet := httptest.NewTLSServer(kubelet(namespace, name+"-0", to))
	t.Cleanup(kubelet.Close)
	clients, err := kubernetes.NewForConfig(world.Control.Direct)
	Must(t, err)
	_, text, err := net.SplitHostPort(kubelet.Listener.Addr().String())
	Must(t, err)
	port, err := strconv.ParseInt(text, 10, 32)
	Must(t, err)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + name}}
	Create(t, world, node)
	node.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
	}
	_, err = clients.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	Must(t, err)
	labels := map[string]string{"app": name}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-0", Labels: labels},
		Spec: corev1.PodSpec{NodeName: node.Name, TerminationGracePeriodSeconds: new(int64), Containers: []corev1.Container{{
			Name: "server", Image: "server", Ports: []corev1.ContainerPort{{Name: "callers", ContainerPort: servePort}},
		}}},
	}
	Create(t, world, pod)
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	_, err = clients.CoreV1().Pods(pod.Namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	Must(t, err)
	Create(t, world, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: ports},
	})
}

// kubelet forwards ports of one pod as a node's does, to addresses of this machine.
// Everything else on the way is real: the API server, the client, the proxy.
func kubelet(namespace, pod string, to map[int32]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/portForward/"+namespace+"/"+pod) {
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
				port, _ := strconv.ParseInt(stream.Headers().Get("port"), 10, 32) // 0 is nowhere
				group.Go(func() { pipe(stream, to[int32(port)]) })
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
