// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestVerdicts: what each observation comes to, with a message that says what to do.
func TestVerdicts(t *testing.T) {
	external := func() *v1alpha1.Connection {
		c := &v1alpha1.Connection{}
		c.Namespace, c.Name, c.Spec.Proxy.Placement = "shop-access", "shop", v1alpha1.PlacementExternal
		return c
	}
	secret := external()
	secret.Spec.Credential.Secret = &v1alpha1.SecretReference{Name: "shop-credential"}
	reached := map[string]bool{"gather": true, "compile": true, "publish": true, "certificate": true, "isolate": true, "observe": true}
	proxy := func(revision int64, problems ...report.Problem) observed {
		var o observed
		o.Instance, o.Revision, o.Problems = "one", revision, problems
		return o
	}
	compiled := func(s scope) scope { s.result.Snapshot = &snapshot.Snapshot{}; return s }
	present := publish.Outcome{Revision: 7}
	failed := errors.New("no connection")

	tests := map[string]struct {
		reason  string
		scope   scope
		err     error
		verdict func(*scope, error) kit.Verdict
		status  metav1.ConditionStatus
		because string
		message string
	}{
		"Published":     {"The present state is out.", compiled(scope{reached: reached}), nil, published, metav1.ConditionTrue, v1alpha1.ReasonPublished, ""},
		"PublishFailed": {"It could not be written.", scope{}, failed, published, metav1.ConditionFalse, v1alpha1.ReasonPublishFailed, "no connection"},
		"TooLarge": {
			"It does not fit; the previous one was narrowed.", compiled(scope{reached: reached, narrowed: fmt.Errorf("%w: 2 MB", snapshot.ErrTooLarge)}), nil,
			published, metav1.ConditionFalse, v1alpha1.ReasonSnapshotTooLarge, "shorten or split the policies",
		},
		"Closed": {"A Connection at fault lets nobody through.", scope{reached: reached}, nil, published, metav1.ConditionFalse, v1alpha1.ReasonNotAccepted, "Accepted"},

		"CertificateFailed":  {"Nothing was issued.", scope{}, failed, certificateReady, metav1.ConditionFalse, v1alpha1.ReasonCertificateFailed, "no connection"},
		"CertificateRefused": {"A name outside of the authority's bounds.", scope{reached: reached, refused: errors.New("not permitted")}, nil, certificateReady, metav1.ConditionFalse, v1alpha1.ReasonCertificateFailed, "not permitted"},

		"NoSecret":      {"The Secret is missing.", scope{reached: reached}, nil, credential(secret), metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, "create it with type"},
		"SecretUnknown": {"Nobody has looked into the Secret.", scope{reached: reached, secretFound: true}, nil, credential(secret), metav1.ConditionUnknown, v1alpha1.ReasonCredentialUnknown, "no proxy"},
		"Observing":     {"Nothing is known yet.", scope{}, nil, credential(secret), metav1.ConditionUnknown, v1alpha1.ReasonCredentialUnknown, "not be observed"},
		"MissingKey": {
			"A proxy refuses the credential.",
			scope{reached: reached, secretFound: true, live: []observed{proxy(7, report.Problem{
				Type: v1alpha1.ConditionCredentialAvailable, Reason: v1alpha1.ReasonCredentialRejected, Message: "add key password",
			})}},
			nil,
			credential(secret), metav1.ConditionFalse, v1alpha1.ReasonCredentialRejected, "add key password",
		},
		"UndocumentedReason": {
			"A proxy makes up no reasons.",
			scope{reached: reached, secretFound: true, live: []observed{proxy(7, report.Problem{
				Type: v1alpha1.ConditionCredentialAvailable, Reason: "Anything", Message: "x",
			})}},
			nil,
			credential(secret), metav1.ConditionFalse, v1alpha1.ReasonCredentialRejected, "",
		},

		"NoProxy": {"Nobody reports.", scope{reached: reached}, nil, available(external()), metav1.ConditionFalse, v1alpha1.ReasonNoProxy, "kubectl doorward proxy enrol shop-access/shop --out ./shop,"},
		"Serving": {"One that runs the present snapshot is enough.", scope{reached: reached, outcome: present, live: []observed{proxy(6), proxy(7)}}, nil, available(external()), metav1.ConditionTrue, v1alpha1.ReasonProxyServing, ""},
		"Behind":  {"None runs the present snapshot.", scope{reached: reached, outcome: present, live: []observed{proxy(6)}}, nil, available(external()), metav1.ConditionFalse, v1alpha1.ReasonProxyBehind, "revision 6, published is 7"},
		"Degraded": {
			"The only one says why it does not serve.",
			scope{reached: reached, outcome: present, live: []observed{proxy(7, report.Problem{Type: "Log", Reason: "LogFull", Message: "full"})}},
			nil,
			available(external()), metav1.ConditionFalse, v1alpha1.ReasonProxyDegraded, "full",
		},
		"NearlyFull": {
			"A log that fills up, or that the witness does not confirm, is for people to look at; the proxy serves.",
			scope{reached: reached, outcome: present, live: []observed{proxy(7, report.Problem{Type: report.LogConsistent}, report.Problem{Type: report.LogSpace})}},
			nil,
			available(external()), metav1.ConditionTrue, v1alpha1.ReasonProxyServing, "",
		},
		"Duplicate": {
			"Two have one id.",
			scope{reached: reached, outcome: present, live: []observed{proxy(7, report.Problem{Reason: v1alpha1.ReasonDuplicateInstance, Message: "two of them"})}},
			nil,
			available(external()), metav1.ConditionFalse, v1alpha1.ReasonDuplicateInstance, "two of them",
		},

		"NotDurable": {
			"Nothing takes the records elsewhere.",
			scope{reached: reached, durable: kit.False(v1alpha1.ConditionRecordDurable, v1alpha1.ReasonNoRemoteSink, "no LogSink")},
			nil,
			durable, metav1.ConditionFalse, v1alpha1.ReasonNoRemoteSink, "no LogSink",
		},
		"DurableUnwritten": {
			"The verdict stands where the credentials cannot be written.",
			scope{durable: kit.True(v1alpha1.ConditionRecordDurable, v1alpha1.ReasonRemoteSink, "")},
			failed,
			durable, metav1.ConditionTrue, v1alpha1.ReasonRemoteSink, "",
		},
		"DurableUnknown": {"The LogSinks were not looked at.", scope{}, failed, durable, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, "no connection"},

		"NotAccepted": {"Nothing was compiled yet.", scope{}, failed, accepted, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, "no connection"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.verdict(&tc.scope, tc.err)
			if got.Status != tc.status || got.Reason != tc.because || !strings.Contains(got.Message, tc.message) {
				t.Errorf("%s: %+v, want %s %s %q", tc.reason, got, tc.status, tc.because, tc.message)
			}
			if got.Status == metav1.ConditionFalse && got.Message == "" {
				t.Errorf("%s: nothing says what to do", tc.reason)
			}
		})
	}
}

// credential and available judge a scope of this Connection.
func credential(c *v1alpha1.Connection) func(*scope, error) kit.Verdict {
	return func(s *scope, _ error) kit.Verdict { s.connection = c; return credentialAvailable(s) }
}

func available(c *v1alpha1.Connection) func(*scope, error) kit.Verdict {
	return func(s *scope, _ error) kit.Verdict { s.connection = c; return proxyAvailable(s) }
}
