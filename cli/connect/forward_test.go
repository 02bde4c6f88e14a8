// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

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

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// kubelet forwards ports as a node's does, to an address of this machine whatever the
// pod. Everything else on the way is real: the API server, the client, the proxy.
func kubelet(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/portForward/"+stack.Namespace+"/inner-0") {
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
				group.Go(func() { pipe(stream, to) })
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

// TestPortForward connects to a proxy whose name only the cluster knows.
func TestPortForward(t *testing.T) {
	const name = "inner"
	inner := &v1alpha1.Connection{}
	inner.Namespace, inner.Name = stack.Namespace, name
	shop := &v1alpha1.Connection{}
	stacktest.Must(t, world.Admin.Get(t.Context(), keyOf(stack.Connection), shop))
	inner.Spec = *shop.Spec.DeepCopy()
	inner.Spec.Proxy.External.ServerNames = []string{"inner.shop.svc"}
	inner.Spec.Credential.Secret.Name = "inner-credential"
	stacktest.Create(t, world, world.CredentialSecret("inner-credential", name, world.Canary))
	stacktest.Create(t, world, inner)
	policy := &v1alpha1.AccessPolicy{}
	stacktest.Must(t, world.Admin.Get(t.Context(), keyOf("analysts"), policy))
	policy.ObjectMeta = metav1.ObjectMeta{Namespace: stack.Namespace, Name: "inner-analysts"}
	policy.Spec.Connections[0].Name = name
	stacktest.Create(t, world, policy)
	stacktest.Await(t, "the Connection's endpoint", func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, keyOf(name), inner); err != nil || inner.Status.Endpoint == "" {
			return fmt.Errorf("no endpoint yet: %w", err)
		}
		return nil
	})
	proxy := stacktest.StartProxy(t, world, stack.ProxyOptions{Connection: name})
	stacktest.Must(t, world.AwaitPolicy(t.Context(), name, policy.Name))

	node := httptest.NewTLSServer(kubelet(proxy.Address))
	t.Cleanup(node.Close)
	place(t, node.Listener.Addr())

	t.Run("Client", func(t *testing.T) {
		out, err := plugin(t, "connect", name, "--namespace", stack.Namespace, "--", "-X", "-At", "-c", "SELECT 'forwarded'")
		if err != nil || !strings.Contains(out, "forwarded") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("Never", func(t *testing.T) {
		out, err := plugin(t, "connect", name, "--namespace", stack.Namespace, "--port-forward", "never", "--", "-X", "-c", "SELECT 1")
		if err == nil || !strings.Contains(out, "could not translate host name") {
			t.Errorf("want psql's own error, got %v: %s", err, out)
		}
	})
	t.Run("NotPermitted", func(t *testing.T) {
		out, err := pluginOf(t, "alice", "connect", name, "--namespace", stack.Namespace, "--", "-X", "-c", "SELECT 1")
		if err == nil || !strings.Contains(out, "services \"inner\" is forbidden") {
			t.Errorf("want which right is missing, got %v: %s", err, out)
		}
	})
}

// place makes a node, and a pod and a Service there, as they are in a cluster that runs
// the proxy.
func place(t *testing.T, kubelet net.Addr) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(world.Control.Direct)
	stacktest.Must(t, err)
	port := func(address string) int32 {
		_, text, err := net.SplitHostPort(address)
		stacktest.Must(t, err)
		number, err := strconv.ParseInt(text, 10, 32)
		stacktest.Must(t, err)
		return int32(number)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	stacktest.Create(t, world, node)
	node.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port(kubelet.String())}},
	}
	_, err = clients.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	stacktest.Must(t, err)
	labels := map[string]string{"app": "inner"}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "inner-0", Labels: labels},
		Spec: corev1.PodSpec{NodeName: "node", TerminationGracePeriodSeconds: new(int64), Containers: []corev1.Container{{
			Name: "proxy", Image: "proxy", Ports: []corev1.ContainerPort{{Name: "callers", ContainerPort: 6543}},
		}}},
	}
	stacktest.Create(t, world, pod)
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	_, err = clients.CoreV1().Pods(stack.Namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	stacktest.Must(t, err)
	inner := &v1alpha1.Connection{}
	stacktest.Must(t, world.Admin.Get(t.Context(), keyOf("inner"), inner))
	stacktest.Create(t, world, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "inner"},
		Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{
			Port: port(inner.Status.Endpoint), TargetPort: intstr.FromString("callers"),
		}}},
	})
}
