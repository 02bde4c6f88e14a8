// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/api/v1alpha1"
)

// The bounds of one proxy's requests. A connection to an API server that has
// fallen silent is noticed, and replaced, within pingAfter plus pingTimeout.
const (
	pingAfter      = 3 * time.Second
	pingTimeout    = 3 * time.Second
	connectTimeout = 3 * time.Second
	requestTimeout = 5 * time.Second
	queriesPerSec  = 50
	queriesBurst   = 100
)

// Client is the API server as a proxy sees it.
type Client struct {
	*core
	custom rest.Interface
	codec  runtime.ParameterCodec
	http   *http.Client
}

// Close closes the connections that no request uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// NewClient makes a client of a configuration. wrap, where not nil, adds to
// each request what proves the proxy, such as a token that is renewed.
func NewClient(config *rest.Config, wrap func(http.RoundTripper) http.RoundTripper) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = queriesPerSec, queriesBurst
	if config.UserAgent == "" {
		config.UserAgent = "doorward-proxy"
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	proxy := config.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	var transport http.RoundTripper = &http.Transport{
		Proxy: proxy, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: connectTimeout,
		DialContext:       (&net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout},
	}
	if transport, err = rest.HTTPWrappersForConfig(config, transport); err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	if wrap != nil {
		transport = wrap(transport)
	}
	client := &http.Client{Transport: transport}
	standard, err := newCore(config, client)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	custom := rest.CopyConfig(config)
	group := v1alpha1.GroupVersion
	custom.GroupVersion, custom.APIPath = &group, "/apis"
	custom.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own, err := rest.RESTClientForConfigAndClient(custom, client)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return &Client{core: standard, custom: own, codec: runtime.NewParameterCodec(scheme), http: client}, nil
}

func (c *Client) approvalRequests(namespace string) *gentype.ClientWithList[*v1alpha1.ApprovalRequest, *v1alpha1.ApprovalRequestList] {
	return gentype.NewClientWithList("approvalrequests", c.custom, c.codec, namespace,
		func() *v1alpha1.ApprovalRequest { return &v1alpha1.ApprovalRequest{} },
		func() *v1alpha1.ApprovalRequestList { return &v1alpha1.ApprovalRequestList{} })
}

func (c *Client) auditSessions(namespace string) *gentype.ClientWithList[*v1alpha1.AuditSession, *v1alpha1.AuditSessionList] {
	return gentype.NewClientWithList("auditsessions", c.custom, c.codec, namespace,
		func() *v1alpha1.AuditSession { return &v1alpha1.AuditSession{} },
		func() *v1alpha1.AuditSessionList { return &v1alpha1.AuditSessionList{} })
}

func (c *Client) connections(namespace string) *gentype.Client[*v1alpha1.Connection] {
	return gentype.NewClient("connections", c.custom, c.codec, namespace,
		func() *v1alpha1.Connection { return &v1alpha1.Connection{} })
}

// The names of a Connection's runtime objects.
func snapshotSecret(connection string) string { return "doorward-" + connection + "-snapshot" }
func servingSecret(connection string) string  { return "doorward-" + connection + "-serving" }

// labelConnection is on what a proxy creates, so that it watches only its own.
const labelConnection = v1alpha1.LabelConnection

// watchSecret follows one Secret by name; get is called with nil where it is missing.
func (c *Client) watchSecret(namespace, name string, get func(*corev1.Secret)) *follower[*corev1.Secret] {
	secrets := c.secrets(namespace)
	return &follower[*corev1.Secret]{
		selector: metav1.ListOptions{FieldSelector: "metadata.name=" + name},
		list: lister(secrets.List, func(l *corev1.SecretList) []*corev1.Secret {
			return pointers(l.Items)
		}),
		watch:  secrets.Watch,
		synced: func(all []*corev1.Secret) { get(first(all)) },
		event: func(s *corev1.Secret, gone bool) {
			if gone {
				s = nil
			}
			get(s)
		},
	}
}

func pointers[T any](items []T) []*T {
	all := make([]*T, len(items))
	for i := range items {
		all[i] = &items[i]
	}
	return all
}

func first[T any](all []*T) *T {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}
