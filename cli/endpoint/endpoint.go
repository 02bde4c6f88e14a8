// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package endpoint is how the plugin reaches a proxy: at its endpoint itself, or, where
// only the cluster knows that name, by a port of this machine that is forwarded to a pod
// of the proxy; and by which authorities the proxy is told from somebody else who would
// like a token.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/cli/forward"
)

const (
	// TrustBundle is the ConfigMap of the authorities that callers trust, bundleKey where it
	// has those of TLS, and hostsKey those of SSH.
	TrustBundle = "doorward-trust-bundle"
	bundleKey   = "ca.crt"
	hostsKey    = "known_hosts"
	// lookupTimeout bounds the look whether a name of the cluster is known here.
	lookupTimeout = 3 * time.Second
)

// The values of --port-forward.
const (
	// Auto forwards a port where only the cluster knows the endpoint's name.
	Auto   = "auto"
	Always = "always"
	Never  = "never"
)

// CheckForward refuses other values of --port-forward.
func CheckForward(value string) error {
	if value != Auto && value != Always && value != Never {
		return fmt.Errorf("invalid --port-forward: one of (%s, %s, %s): %q", Auto, Always, Never, value)
	}
	return nil
}

// Way is how a proxy is reached.
type Way interface {
	// Address is where to dial now, as host:port.
	Address(ctx context.Context) (string, error)
	Close()
}

// Direct is the endpoint itself, as host:port.
type Direct string

// Address is the endpoint.
func (d Direct) Address(context.Context) (string, error) { return string(d), nil }

// Close does nothing.
func (Direct) Close() {}

// Service is the name of the Service that an endpoint, host:port, of a Connection in a
// namespace is of; false where it is no Service of that namespace.
func Service(namespace, endpoint string) (string, bool) {
	host, _, err := net.SplitHostPort(endpoint)
	labels := strings.Split(host, ".")
	if err != nil || len(labels) < 3 || labels[1] != namespace || labels[2] != "svc" {
		return "", false
	}
	return labels[0], true
}

// Inside says whether an endpoint can be reached from within the cluster only: its name is
// the cluster's, and nobody knows it here.
func Inside(ctx context.Context, namespace, endpoint string) bool {
	if _, ok := Service(namespace, endpoint); !ok {
		return false
	}
	host, _, _ := net.SplitHostPort(endpoint)
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	return err != nil || len(found) == 0
}

// Reach is the endpoint itself, or a port that is forwarded to it, as --port-forward says:
// to a port of its Service, by name, or to the endpoint's own where that is empty.
func Reach(ctx context.Context, config *rest.Config, how, namespace, endpoint, port string) (Way, error) {
	if how == Never || how == Auto && !Inside(ctx, namespace, endpoint) {
		return Direct(endpoint), nil
	}
	service, ok := Service(namespace, endpoint)
	if !ok {
		return nil, fmt.Errorf("endpoint %q is no Service of the cluster: no port can be forwarded to it: leave out --port-forward", endpoint)
	}
	if port == "" {
		var err error
		if _, port, err = net.SplitHostPort(endpoint); err != nil {
			return nil, err
		}
	}
	return forward.New(config, namespace, service, port, fmt.Sprintf("ask for ClusterRole %s in namespace %q", forward.Role, namespace))
}

// ErrNoAuthorities says that the ConfigMap is there, and has none.
var ErrNoAuthorities = errors.New("no authorities")

// Authorities are those that may sign a proxy's certificate, or the manager's, in PEM: of a
// file where one is given, or else of the ConfigMap in the Connection's namespace, which the
// ClusterRole role lets one read. Without them nobody can tell the proxy from somebody else
// who would like a token.
func Authorities(ctx context.Context, reader client.Reader, namespace, file, role string) ([]byte, error) {
	return authorities(ctx, reader, namespace, file, role, bundleKey)
}

// HostAuthorities are those that may sign a proxy's SSH host key, as lines of known_hosts
// (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), of where Authorities are.
func HostAuthorities(ctx context.Context, reader client.Reader, namespace, file, role string) ([]byte, error) {
	return authorities(ctx, reader, namespace, file, role, hostsKey)
}

func authorities(ctx context.Context, reader client.Reader, namespace, file, role, key string) ([]byte, error) {
	if file != "" {
		given, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the authorities: %w", err)
		}
		return given, nil
	}
	var bundle corev1.ConfigMap
	if err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: TrustBundle}, &bundle); err != nil {
		return nil, fmt.Errorf("cannot read the authorities that sign the certificate: %w: ask for ClusterRole %s in namespace %q, or give a file with --ca-file", err, role, namespace)
	}
	found := []byte(bundle.Data[key])
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: ConfigMap %s/%s holds nothing under %q: is the manager running?", ErrNoAuthorities, namespace, TrustBundle, key)
	}
	return found, nil
}
