// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/proxy/report"
)

// place is where a recording is.
type place struct {
	session *v1alpha1.AuditSession
	// connection is nil where it is gone.
	connection *v1alpha1.Connection
	// address is where the proxy gives recordings, certificate what it must show there.
	address     string
	certificate *x509.Certificate
}

func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return string(reason)
	}
	return "no answer"
}

// find finds the proxy that has a session's log.
func (h *Handler) find(ctx context.Context, what target) (*place, *fault) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	failed := func(object string, err error) *fault {
		h.options.Logger.Error(err, "Cannot find a recording", "object", object, "namespace", what.namespace, "AuditSession", what.name)
		return &fault{http.StatusServiceUnavailable, "ServiceUnavailable", fmt.Sprintf("the manager cannot read the %s: %s: try again", object, reasonOf(err)), unavailable}
	}
	p := &place{session: &v1alpha1.AuditSession{}}
	switch err := h.options.Reader.Get(ctx, client.ObjectKey{Namespace: what.namespace, Name: what.name}, p.session); {
	case apierrors.IsNotFound(err):
		return nil, &fault{http.StatusNotFound, "NotFound", fmt.Sprintf(
			"no AuditSession %q in namespace %q: see \"kubectl doorward sessions -n %s\"; one that is over is deleted after its Connection's spec.audit.sessionRetentionSeconds, its records are in the LogSinks",
			what.name, what.namespace, what.namespace), absent}
	case err != nil:
		return nil, failed("AuditSession", err)
	}
	if p.session.Status.Log == nil {
		return nil, &fault{http.StatusServiceUnavailable, "ServiceUnavailable", "the session's place in its log is not known yet: try again", unavailable}
	}
	name := p.session.Spec.ConnectionRef.Name
	found := &v1alpha1.Connection{}
	switch err := h.options.Reader.Get(ctx, client.ObjectKey{Namespace: what.namespace, Name: name}, found); {
	case apierrors.IsNotFound(err):
		return nil, h.elsewhere(ctx, p, http.StatusGone, "Gone", fmt.Sprintf("Connection %q is gone, and its proxies with it", name))
	case err != nil:
		return nil, failed("Connection", err)
	}
	p.connection = found
	why, err := h.locate(ctx, p)
	if err != nil {
		return nil, failed("Connection's proxies", err)
	}
	if why != "" {
		return nil, h.elsewhere(ctx, p, http.StatusServiceUnavailable, "ServiceUnavailable", why)
	}
	return p, nil
}

// locate finds out where the proxy is, or why it cannot be asked.
func (h *Handler) locate(ctx context.Context, p *place) (why string, _ error) {
	namespace, name, instance := p.session.Namespace, p.connection.Name, p.session.Spec.ProxyInstance
	reports := &corev1.ConfigMap{}
	err := h.options.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: report.ConfigMapName(name)}, reports)
	if client.IgnoreNotFound(err) != nil {
		return "", err
	}
	// What cannot be read is nobody's report.
	told, unread := report.Decode(instance, reports.Data[instance])
	switch {
	case unread != nil || time.Since(told.ObservedAt) > report.StaleAfter:
		return fmt.Sprintf("proxy %q, which has the session's log, does not report", instance), nil //nolint:nilerr // it is said
	case told.Recordings == "":
		return fmt.Sprintf("proxy %q, which has the session's log, serves no recordings: start it with --recordings-address=%s/%s=HOST:PORT", instance, namespace, name), nil
	}
	if err := h.options.Proxies.permitted(told.Recordings); err != nil {
		return fmt.Sprintf("proxy %q reports an address that the manager does not connect to: start it with --advertise-address", instance), nil //nolint:nilerr // it is said
	}
	p.address = told.Recordings
	secret := &corev1.Secret{}
	err = h.options.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: connection.ServingSecretName(name)}, secret)
	if client.IgnoreNotFound(err) != nil {
		return "", err
	}
	if p.certificate, err = firstCertificate(secret.Data[corev1.TLSCertKey]); err != nil {
		return fmt.Sprintf("the proxies' serving certificate is not there: see condition %s of Connection %q", v1alpha1.ConditionServingCertificateReady, name), nil //nolint:nilerr // it is said
	}
	return "", nil
}

func firstCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// elsewhere says why the proxy cannot give a recording, and where else its records are.
func (h *Handler) elsewhere(ctx context.Context, p *place, code int, reason, why string) *fault {
	session := p.session
	outcome := unavailable
	if code == http.StatusGone || code == http.StatusNotFound {
		outcome = absent
	}
	names := h.sinks(ctx, p.connection)
	where := "no LogSink keeps records elsewhere"
	if len(names) > 0 {
		where = fmt.Sprintf("its records are in the LogSinks %s: fetch them, and run \"kubectl doorward replay %s --records PATH\"", strings.Join(names, ", "), session.Name)
	}
	return &fault{code, reason, why + "; " + where, outcome}
}

// sinks are the names of the LogSinks that have a Connection's records; those of any
// where the Connection is gone.
func (h *Handler) sinks(ctx context.Context, c *v1alpha1.Connection) []string {
	var all v1alpha1.LogSinkList
	if err := h.options.Reader.List(ctx, &all); err != nil {
		h.options.Logger.Error(err, "Cannot list LogSinks")
		return nil
	}
	var names []string
	for i := range all.Items {
		sink := &all.Items[i]
		// What went to a standard output is wherever the container runtime put it.
		if sink.Spec.Type != v1alpha1.LogSinkStdout && (c == nil || compile.Uses(c, sink)) {
			names = append(names, fmt.Sprintf("%s (%s)", sink.Name, sink.Spec.Type))
		}
	}
	slices.Sort(names)
	return names
}
