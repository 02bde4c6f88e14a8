// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
)

// SinkSecret is what compiling knows of a LogSink's Secret: never a value.
type SinkSecret struct {
	// Type is the Secret's.
	Type corev1.SecretType `json:"type"`
	// Keys are those with a value that is not empty.
	Keys []string `json:"keys"`
}

// SinkKeys are the keys that a sink's Secret may have, and those that it must;
// others are never copied. Where records are sent in clear text, tokens and client
// certificates are not used.
func SinkKeys(sink *v1alpha1.LogSink) (may, must []string) {
	spec := &sink.Spec
	if spec.Secret == nil {
		return nil, nil
	}
	switch spec.Type {
	case v1alpha1.LogSinkS3:
		must = []string{snapshot.SinkAccessKeyID, snapshot.SinkSecretAccessKey}
		may = []string{snapshot.SinkSessionToken}
	case v1alpha1.LogSinkKafka:
		if spec.Kafka != nil && spec.Kafka.SASL != "" {
			must = []string{snapshot.SinkUsername, snapshot.SinkPassword}
		}
	case v1alpha1.LogSinkOTLP:
		may = []string{snapshot.SinkHeaders}
	case v1alpha1.LogSinkWebhook:
		must = []string{snapshot.SinkSigningKey}
		may = []string{snapshot.SinkPreviousSigningKey, snapshot.SinkHeaders}
	case v1alpha1.LogSinkSyslog:
	default:
		return nil, nil
	}
	may = append(may, must...)
	if clearText(spec) {
		may = slices.DeleteFunc(may, func(key string) bool { return key == snapshot.SinkHeaders })
	} else {
		may = append(may, snapshot.SinkCertificate, snapshot.SinkKey)
	}
	return sortStrings(may), must
}

// SinkSecretUsable says whether a Secret is one that a sink may use.
func SinkSecretUsable(t corev1.SecretType) bool {
	return t == v1alpha1.SecretTypeSinkCredential || t == corev1.SecretTypeOpaque || t == ""
}

// credentialFault says what a sink's Secret lacks.
func credentialFault(sink *v1alpha1.LogSink, secrets map[string]SinkSecret) *fault {
	may, must := SinkKeys(sink)
	if len(may) == 0 || secrets == nil {
		return nil
	}
	name := sink.Spec.Secret.Name
	const waits = "; until then, the proxies keep their records for the sink"
	secret, found := secrets[name]
	if !found {
		with := ""
		if len(must) > 0 {
			with = " and the keys " + strings.Join(must, " and ")
		}
		return &fault{v1alpha1.ReasonSecretNotFound, fmt.Errorf("spec.secret: no Secret %q in the operator's namespace: create it with type %s%s%s",
			name, v1alpha1.SecretTypeSinkCredential, with, waits)}
	}
	if !SinkSecretUsable(secret.Type) {
		return &fault{v1alpha1.ReasonWrongSecretType, fmt.Errorf("spec.secret: Secret %q has type %s: make one of type %s%s",
			name, secret.Type, v1alpha1.SecretTypeSinkCredential, waits)}
	}
	for _, key := range must {
		if !slices.Contains(secret.Keys, key) {
			return &fault{v1alpha1.ReasonIncompleteSecret, fmt.Errorf("spec.secret: Secret %q has no key %q, or it is empty: add it%s", name, key, waits)}
		}
	}
	if !slices.ContainsFunc(may, func(key string) bool { return slices.Contains(secret.Keys, key) }) {
		return &fault{v1alpha1.ReasonIncompleteSecret, fmt.Errorf("spec.secret: Secret %q has none of the keys %s: add what the server asks for, or remove spec.secret%s",
			name, strings.Join(may, ", "), waits)}
	}
	if !slices.Contains(may, snapshot.SinkKey) {
		return nil
	}
	certificate, key := slices.Contains(secret.Keys, snapshot.SinkCertificate), slices.Contains(secret.Keys, snapshot.SinkKey)
	if certificate != key {
		return &fault{v1alpha1.ReasonIncompleteSecret, fmt.Errorf("spec.secret: Secret %q has one of the keys %q and %q: add the other, or remove both%s",
			name, snapshot.SinkCertificate, snapshot.SinkKey, waits)}
	}
	return nil
}
