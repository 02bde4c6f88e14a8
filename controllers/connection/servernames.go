// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
)

// foreignName says why not, where a server name is not this Connection's to
// have. All proxies' certificates come from one authority, so whoever may write
// Connections in one namespace could otherwise have a certificate for the proxy of
// another, and callers would give it their tokens.
func (r *Reconciler) foreignName(ctx context.Context, c *v1alpha1.Connection, names []string, bundle []byte) (refused, err error) {
	var contested []string
	for _, name := range names {
		if local(name) {
			continue
		}
		if namespace, inCluster := namespaceOf(name); inCluster && namespace != c.Namespace {
			return fmt.Errorf("server name %q is one inside the cluster that is not of namespace %q: choose another", name, c.Namespace), nil
		} else if !inCluster {
			contested = append(contested, name)
		}
	}
	if len(contested) == 0 {
		return nil, nil
	}
	var all v1alpha1.ConnectionList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.Namespace == c.Namespace || other.Spec.Proxy.External == nil {
			continue
		}
		for _, name := range contested {
			if !slices.ContainsFunc(other.Spec.Proxy.External.ServerNames, func(theirs string) bool { return sameName(theirs, name) }) {
				continue
			}
			theirs, err := r.holds(ctx, other, name, bundle)
			if err != nil {
				return nil, err
			}
			mine, err := r.holds(ctx, c, name, bundle)
			if err != nil {
				return nil, err
			}
			if theirs && !mine || theirs == mine && older(other, c) {
				return fmt.Errorf("server name %q is that of a Connection in another namespace: choose one that no other has", name), nil
			}
		}
	}
	return nil, nil
}

// sameName says whether two server names are one: an IP address can be written in
// more than one way, and certificates know none of them.
func sameName(a, b string) bool {
	one, err := netip.ParseAddr(a)
	other, otherErr := netip.ParseAddr(b)
	if err != nil || otherErr != nil {
		return strings.EqualFold(a, b)
	}
	return one.Unmap() == other.Unmap()
}

// local says whether a name leads to the caller's own machine.
func local(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}

// namespaceOf is the namespace that a name inside the cluster belongs to; empty
// for one that belongs to none. See
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/.
func namespaceOf(name string) (namespace string, inCluster bool) {
	labels := strings.Split(strings.ToLower(name), ".")
	at := slices.Index(labels, "svc")
	if at >= 0 && slices.Contains(labels[at+1:], "svc") {
		return "", true // of one or the other: nobody's
	}
	if pod := slices.Index(labels, "pod"); at < 0 && strings.HasSuffix(name, ".cluster.local") {
		at = pod
	}
	switch {
	case at > 1:
		return labels[at-1], true
	case at >= 0 || labels[len(labels)-1] == "local" && strings.HasSuffix("."+name, ".cluster.local"):
		return "", true
	default:
		return "", false
	}
}

// holds says whether a Connection has a certificate of this authority for a name.
func (r *Reconciler) holds(ctx context.Context, c *v1alpha1.Connection, name string, bundle []byte) (bool, error) {
	var secret corev1.Secret
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: ServingSecretName(c.Name)}, &secret)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && ca.Holds(secret.Data[corev1.TLSCertKey], name, bundle, r.Now()), err
}

// older orders Connections that want the same name.
func older(a, b *v1alpha1.Connection) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}
