// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// way is how a proxy is reached.
type way interface {
	// address is where to dial now, as host:port.
	address(ctx context.Context) (string, error)
	close()
}

// direct is the endpoint itself.
type direct string

func (d direct) address(context.Context) (string, error) { return string(d), nil }
func (direct) close()                                    {}

// forwarder forwards a port of this machine to a pod of a proxy, through the API server.
// When the pod goes, the next one takes its place for who comes next.
type forwarder struct {
	config             *rest.Config
	clients            kubernetes.Interface
	namespace, service string
	port               string // of the Service

	mu      sync.Mutex // guards what follows
	running *forwarding
}

// forwarding is a forward to one pod.
type forwarding struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // once ended is closed
	local  string
}

func newForwarder(c *lookup, t *target) (*forwarder, error) {
	service, ok := t.service()
	if !ok {
		return nil, fmt.Errorf("endpoint %q is no Service of the cluster: no port can be forwarded to it: leave out --port-forward", t.endpoint)
	}
	_, port, err := net.SplitHostPort(t.endpoint)
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	return &forwarder{config: c.config, clients: clients, namespace: t.namespace, service: service, port: port}, nil
}

func (f *forwarder) address(ctx context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		select {
		case <-f.running.ended:
		default:
			return f.running.local, nil
		}
	}
	pod, port, err := f.pod(ctx)
	if err != nil {
		return "", err
	}
	f.running, err = f.start(ctx, pod, port)
	if err != nil {
		return "", fmt.Errorf("cannot forward a port to pod %s/%s: %w: ask for the verb \"create\" on pods/portforward, or for a way to %s", f.namespace, pod, err, f.service)
	}
	return f.running.local, nil
}

func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		f.running.cancel()
		<-f.running.ended
		f.running = nil
	}
}

// pod is a ready pod behind the Service, and its port.
func (f *forwarder) pod(ctx context.Context) (string, int32, error) {
	service, err := f.clients.CoreV1().Services(f.namespace).Get(ctx, f.service, metav1.GetOptions{})
	if err != nil {
		return "", 0, fmt.Errorf("cannot read Service %s/%s: %w", f.namespace, f.service, err)
	}
	pods, err := f.clients.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(service.Spec.Selector).String()})
	if err != nil {
		return "", 0, fmt.Errorf("cannot list pods in namespace %q: %w", f.namespace, err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !ready(pod) {
			continue
		}
		for _, port := range service.Spec.Ports {
			if strconv.Itoa(int(port.Port)) != f.port {
				continue
			}
			if number, ok := podPort(pod, &port); ok {
				return pod.Name, number, nil
			}
		}
	}
	return "", 0, fmt.Errorf("no pod of Service %s/%s is ready for port %s: see \"kubectl -n %s get pods -l %s\"", f.namespace, f.service, f.port, f.namespace,
		labels.SelectorFromSet(service.Spec.Selector))
}

func ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// podPort is the pod's port that a port of the Service leads to.
func podPort(pod *corev1.Pod, port *corev1.ServicePort) (int32, bool) {
	if number := port.TargetPort.IntVal; number > 0 {
		return number, true
	}
	if port.TargetPort.StrVal == "" {
		return port.Port, true
	}
	for i := range pod.Spec.Containers {
		for _, own := range pod.Spec.Containers[i].Ports {
			if own.Name == port.TargetPort.StrVal {
				return own.ContainerPort, true
			}
		}
	}
	return 0, false
}

// start returns once the port is open. The forward outlives ctx, and ends with close.
func (f *forwarder) start(ctx context.Context, pod string, port int32) (*forwarding, error) {
	dialer, err := f.dialer(pod)
	if err != nil {
		return nil, err
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	opened := make(chan struct{})
	ports, err := portforward.NewOnAddressesForStreamingWithContext(own, dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(int(port))}, opened, io.Discard, io.Discard)
	if err != nil {
		cancel()
		return nil, err
	}
	f2 := &forwarding{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(f2.ended)
		f2.err = ports.ForwardPorts()
	}()
	select {
	case <-opened:
	case <-f2.ended:
		cancel()
		return nil, errors.Join(f2.err, errors.New("the port was not opened"))
	case <-ctx.Done():
		cancel()
		<-f2.ended
		return nil, ctx.Err()
	}
	local, err := ports.GetPorts()
	if err != nil || len(local) != 1 {
		cancel()
		<-f2.ended
		return nil, errors.Join(err, errors.New("the port was not opened"))
	}
	f2.local = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(local[0].Local)))
	return f2, nil
}

// dialer reaches a pod as kubectl does: over WebSocket, and over SPDY where an older API
// server, or what stands before it, does not know that.
func (f *forwarder) dialer(pod string) (httpstream.Dialer, error) {
	at := f.clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(f.namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	newer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(at, f.config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}
