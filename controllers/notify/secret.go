// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
)

// The keys of a Notifier's Secret that are read. Others are not.
const (
	keyURL     = "url"
	keyHeaders = "headers"
)

// readSecret reads the Secret that a Notifier names, from the API server. A fault of its
// own is a *kit.Stalled.
func (r *Reconciler) readSecret(ctx context.Context, spec *v1alpha1.NotifierSpec) (map[string][]byte, error) {
	if spec.Secret == nil {
		return nil, nil
	}
	name := spec.Secret.Name
	fault := func(reason, format string, args ...any) error {
		return &kit.Stalled{Reason: reason, Err: fmt.Errorf("spec.secret: "+format, args...)}
	}
	if compile.OwnSecret(name) {
		return nil, fault(v1alpha1.ReasonInvalid, "%q is a name of the manager's own Secrets: give the Secret of the notifier another name", name)
	}
	var secret corev1.Secret
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fault(v1alpha1.ReasonSecretNotFound, "no Secret %q in the operator's namespace: create it with type %s and the key %s or %s",
			name, v1alpha1.SecretTypeNotifierCredential, keyURL, keyHeaders)
	case err != nil:
		return nil, fmt.Errorf("cannot read the Secret of the Notifier: %w", err)
	case secret.Type != v1alpha1.SecretTypeNotifierCredential:
		return nil, fault(v1alpha1.ReasonWrongSecretType, "Secret %q has type %s: make one of type %s", name, secret.Type, v1alpha1.SecretTypeNotifierCredential)
	case len(secret.Data[keyURL]) == 0 && spec.URL == "":
		return nil, fault(v1alpha1.ReasonIncompleteSecret, "Secret %q has no key %q, or it is empty: add it, or set spec.url", name, keyURL)
	case len(secret.Data[keyURL]) > 0 && spec.URL != "":
		return nil, fault(v1alpha1.ReasonInvalid, "Secret %q has the key %q, and spec.url is set too: remove one of them", name, keyURL)
	case len(secret.Data[keyURL]) == 0 && len(secret.Data[keyHeaders]) == 0:
		return nil, fault(v1alpha1.ReasonIncompleteSecret, "Secret %q has none of the keys %q and %q: add one, or remove spec.secret", name, keyURL, keyHeaders)
	}
	return map[string][]byte{keyURL: secret.Data[keyURL], keyHeaders: secret.Data[keyHeaders]}, nil
}

const maxHeaders = 16

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")

// reserved are headers that are set anyway, or that change how a request is framed.
var reserved = []string{
	"Host", "Connection", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Keep-Alive", "Expect", "Proxy-Connection",
	"Content-Length", "Content-Type", "Content-Encoding", "Accept-Encoding", "User-Agent", headerID, headerTimestamp,
}

// readHeaders reads lines of "Name: value". Its errors show no value.
func readHeaders(text []byte) (http.Header, error) {
	headers, n := http.Header{}, 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !found || !headerName.MatchString(name) || value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }):
			return nil, fmt.Errorf("key %q of the Secret: line %d: want \"Name: value\"", keyHeaders, n)
		case slices.Contains(reserved, name):
			return nil, fmt.Errorf("key %q of the Secret: line %d: %s cannot be set: remove the line", keyHeaders, n, name)
		case headers.Get(name) != "" || len(headers) == maxHeaders:
			return nil, fmt.Errorf("key %q of the Secret: line %d: a header is there twice, or there are more than %d", keyHeaders, n, maxHeaders)
		}
		headers.Set(name, value)
	}
	return headers, nil
}
