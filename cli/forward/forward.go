// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package forward forwards ports of this machine into the cluster, through the API server,
// as kubectl port-forward does.
package forward

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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Role is the ClusterRole with the rights that it takes in a namespace of Connections, among
// others that callers need.
const Role = "doorward-caller"

// Why no port is forwarded, beside what the API server says.
var (
	// ErrNoPort says that a Service has no such port.
	ErrNoPort = errors.New("no such port")
	// ErrNoPod says that no pod of a Service is ready.
	ErrNoPod = errors.New("no pod is ready")
	// ErrNotForwarded says that no port could be forwarded to a pod.
	ErrNotForwarded = errors.New("cannot forward a port")
)

// Forwarder forwards a port of this machine to a pod behind a Service.
// When the pod goes, the next one takes its place for who comes next.
type Forwarder struct {
	config             *rest.Config
	clients            kubernetes.Interface
	namespace, service string
	port               string // of the Service: its number, or its name
	remedy             string

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

// New makes a Forwarder to a port of a Service, given by its number or its name. remedy is
// what errors say of missing rights: what to ask for, and where.
func New(config *rest.Config, namespace, service, port, remedy string) (*Forwarder, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	return &Forwarder{config: config, clients: clients, namespace: namespace, service: service, port: port, remedy: remedy}, nil
}

// Address is the local port, as host:port. It is opened where it is not.
func (f *Forwarder) Address(ctx context.Context) (string, error) {
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
		return "", fmt.Errorf("%w to pod %s/%s: %w: %s, with the verb \"create\" on pods/portforward, or for a way to %s", ErrNotForwarded, f.namespace, pod, err, f.remedy, f.service)
	}
	return f.running.local, nil
}

// Close ends the forwarding.
func (f *Forwarder) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		f.running.cancel()
		<-f.running.ended
		f.running = nil
	}
}

// pod is a ready pod behind the Service, and its port.
func (f *Forwarder) pod(ctx context.Context) (string, int32, error) {
	service, err := f.clients.CoreV1().Services(f.namespace).Get(ctx, f.service, metav1.GetOptions{})
	if err != nil {
		return "", 0, fmt.Errorf("cannot read Service %s/%s: %w%s", f.namespace, f.service, err, f.forbidden(err))
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == f.port || strconv.Itoa(int(p.Port)) == f.port })
	if i < 0 {
		return "", 0, fmt.Errorf("%w: Service %s/%s has no port %s", ErrNoPort, f.namespace, f.service, f.port)
	}
	if len(service.Spec.Selector) == 0 { // it would be any pod of the namespace
		return "", 0, fmt.Errorf("%w: Service %s/%s has no selector: its pods are known by nobody here: leave out --port-forward", ErrNoPod, f.namespace, f.service)
	}
	pods, err := f.clients.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(service.Spec.Selector).String()})
	if err != nil {
		return "", 0, fmt.Errorf("cannot list pods in namespace %q: %w%s", f.namespace, err, f.forbidden(err))
	}
	for n := range pods.Items {
		pod := &pods.Items[n]
		if !ready(pod) {
			continue
		}
		if number, ok := podPort(pod, &service.Spec.Ports[i]); ok {
			return pod.Name, number, nil
		}
	}
	return "", 0, fmt.Errorf("%w: Service %s/%s, port %s: see \"kubectl -n %s get pods -l %s\"", ErrNoPod, f.namespace, f.service, f.port, f.namespace,
		labels.SelectorFromSet(service.Spec.Selector))
}

// forbidden is what to do where the API server forbids it.
func (f *Forwarder) forbidden(err error) string {
	if !apierrors.IsForbidden(err) {
		return ""
	}
	return ": " + f.remedy
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

// start returns once the port is open. The forward outlives ctx, and ends with Close.
func (f *Forwarder) start(ctx context.Context, pod string, port int32) (*forwarding, error) {
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
func (f *Forwarder) dialer(pod string) (httpstream.Dialer, error) {
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
