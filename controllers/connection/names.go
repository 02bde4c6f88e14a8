// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"net"
	"strconv"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// TrustBundleName is the ConfigMap of the authorities that callers trust.
const TrustBundleName = "doorward-trust-bundle"

// The keys of the trust bundle: PEM, and lines of known_hosts.
const (
	trustBundleKey = "ca.crt"
	trustHostsKey  = "known_hosts"
)

// ObjectName is the name of a Connection's ServiceAccount, Role, RoleBinding,
// Deployment or StatefulSet, Service, PodDisruptionBudget and NetworkPolicy.
func ObjectName(connection string) string { return "doorward-" + connection }

// ServingSecretName is the Secret of the serving certificate, and of SSH host keys.
func ServingSecretName(connection string) string { return "doorward-" + connection + "-serving" }

func managed(c *v1alpha1.Connection) bool { return c.Spec.Proxy.Placement == v1alpha1.PlacementManaged }

// serverNames are the names that the serving certificate carries, and the host certificate.
func serverNames(c *v1alpha1.Connection) []string {
	if external := c.Spec.Proxy.External; external != nil && !managed(c) {
		return external.ServerNames
	}
	host := serviceHost(c)
	// localhost is for kubectl port-forward.
	return []string{host, host + ".cluster.local", "localhost"}
}

func serviceHost(c *v1alpha1.Connection) string {
	return ObjectName(c.Name) + "." + c.Namespace + ".svc"
}

// port is the port that callers connect to; 0 where the protocol is unknown and
// none is set.
func port(c *v1alpha1.Connection, protocols compile.Protocols) int32 {
	if m := c.Spec.Proxy.Managed; m != nil && m.Port != 0 {
		return m.Port
	}
	if e := c.Spec.Proxy.External; e != nil && e.Port != 0 {
		return e.Port
	}
	if protocol, ok := protocols[c.Spec.Protocol]; ok {
		return protocol.DefaultPort()
	}
	return 0
}

// containerPort is the port that a Managed proxy listens on. A process without
// privileges cannot take one below 1024.
func containerPort(port int32) int32 {
	if port < 1024 {
		return port + 20000
	}
	return port
}

// recordingsPort is where a Managed proxy gives the manager recordings, who alone goes there,
// by the pod's address.
func recordingsPort(port int32) int32 { return wire.Port(port, containerPort(port)) }

func endpoint(c *v1alpha1.Connection, protocols compile.Protocols) string {
	p := port(c, protocols)
	names := serverNames(c)
	if p == 0 || len(names) == 0 {
		return ""
	}
	return net.JoinHostPort(names[0], strconv.Itoa(int(p)))
}
