// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/report"
)

// writeStatus writes every condition from what the steps observed.
func (r *Reconciler) writeStatus(s *scope, runErr error) {
	c := s.connection
	c.Status.ObservedGeneration = c.Generation
	c.Status.Endpoint = endpoint(c, r.Protocols)
	if s.reached["observe"] {
		r.warnOfLogs(s)
		c.Status.Proxies = proxies(s)
		c.Status.ForeignLogins = foreignLogins(s)
	}
	verdicts := []kit.Verdict{
		accepted(s, runErr), published(s, runErr), certificateReady(s, runErr), credentialAvailable(s), durable(s, runErr), proxyAvailable(s),
	}
	ready := kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, verdicts...)
	if ready.OK() && runErr != nil {
		ready = kit.False(v1alpha1.ConditionReady, v1alpha1.ReasonNotReady, runErr.Error())
	}
	isolation := r.isolated(s, runErr)
	r.tellOfIsolation(s, isolation)
	kit.Write(&c.Status.Conditions, c.Generation, append(verdicts, isolation, ready)...)
}

func accepted(s *scope, runErr error) kit.Verdict {
	if !s.reached["compile"] {
		return kit.Unknown(v1alpha1.ConditionAccepted, v1alpha1.ReasonProgressing, text(runErr))
	}
	return s.result.Accepted
}

func published(s *scope, runErr error) kit.Verdict {
	const kind = v1alpha1.ConditionSnapshotPublished
	switch {
	case !s.reached["publish"]:
		return kit.False(kind, kit.Reason(runErr, v1alpha1.ReasonPublishFailed), text(runErr))
	case s.narrowed != nil:
		return kit.False(kind, v1alpha1.ReasonSnapshotTooLarge, fmt.Sprintf("%v; the previous snapshot stays, narrowed by what was revoked: shorten or split the policies", s.narrowed))
	case s.result.Snapshot == nil:
		return kit.False(kind, v1alpha1.ReasonNotAccepted, "the Connection is at fault, so that nobody is let through: see the condition Accepted")
	default:
		return kit.True(kind, v1alpha1.ReasonPublished, "")
	}
}

func certificateReady(s *scope, runErr error) kit.Verdict {
	const kind = v1alpha1.ConditionServingCertificateReady
	switch {
	case s.refused != nil:
		return kit.False(kind, v1alpha1.ReasonCertificateFailed, s.refused.Error())
	case !s.reached["certificate"]:
		return kit.False(kind, v1alpha1.ReasonCertificateFailed, text(runErr))
	default:
		return kit.True(kind, v1alpha1.ReasonCertificateIssued, "")
	}
}

func credentialAvailable(s *scope) kit.Verdict {
	const kind = v1alpha1.ConditionCredentialAvailable
	if !s.reached["observe"] {
		return kit.Unknown(kind, v1alpha1.ReasonCredentialUnknown, "the proxies could not be observed yet")
	}
	if ref := s.connection.Spec.Credential.Secret; ref != nil && !s.secretFound {
		return kit.False(kind, v1alpha1.ReasonSecretNotFound, fmt.Sprintf(
			"no Secret %q in this namespace: create it with type %s and the keys %s, %s, %s and %s", ref.Name, v1alpha1.SecretTypeCredential,
			v1alpha1.CredentialKeyUsername, v1alpha1.CredentialKeyPassword, v1alpha1.CredentialKeyConnection, v1alpha1.CredentialKeyAddresses))
	}
	for _, o := range s.live {
		for _, p := range o.Problems {
			if p.Type == kind {
				return kit.False(kind, known(p.Reason, v1alpha1.ReasonCredentialRejected, v1alpha1.ReasonWrongSecretType, v1alpha1.ReasonSecretNotFound),
					fmt.Sprintf("proxy %q: %s", o.Instance, p.Message))
			}
		}
	}
	if len(s.live) == 0 {
		return kit.Unknown(kind, v1alpha1.ReasonCredentialUnknown, "no proxy has reported on the credential yet")
	}
	return kit.True(kind, v1alpha1.ReasonCredentialAvailable, "")
}

func durable(s *scope, runErr error) kit.Verdict {
	if !s.reached["sinks"] && s.durable.Type == "" {
		return kit.Unknown(v1alpha1.ConditionRecordDurable, v1alpha1.ReasonProgressing, text(runErr))
	}
	return s.durable
}

func proxyAvailable(s *scope) kit.Verdict {
	const kind = v1alpha1.ConditionProxyAvailable
	if !s.reached["observe"] {
		return kit.Unknown(kind, v1alpha1.ReasonProgressing, "the proxies could not be observed yet")
	}
	if len(s.live) == 0 {
		hint := "look at the pods of " + ObjectName(s.connection.Name)
		if !managed(s.connection) {
			name := s.connection.Name
			hint = fmt.Sprintf("enrol one with kubectl doorward proxy enrol %s/%s --out ./%s, and start it with xargs -a ./%s/flags proxy", s.connection.Namespace, name, name, name)
		}
		return kit.False(kind, v1alpha1.ReasonNoProxy, "no proxy has reported lately: "+hint)
	}
	problem, behind := "", ""
	reason := v1alpha1.ReasonProxyDegraded
	for _, o := range s.live {
		hindered := slices.IndexFunc(o.Problems, report.Problem.Hinders)
		switch {
		case hindered >= 0:
			p := o.Problems[hindered]
			problem = fmt.Sprintf("proxy %q: %s", o.Instance, p.Message)
			reason = known(p.Reason, v1alpha1.ReasonProxyDegraded, v1alpha1.ReasonDuplicateInstance)
		case o.Revision == s.outcome.Revision:
			return kit.True(kind, v1alpha1.ReasonProxyServing, "")
		default:
			behind = fmt.Sprintf("proxy %q runs revision %d, published is %d", o.Instance, o.Revision, s.outcome.Revision)
		}
	}
	if problem != "" {
		return kit.False(kind, reason, problem)
	}
	return kit.False(kind, v1alpha1.ReasonProxyBehind, behind)
}

func proxies(s *scope) []v1alpha1.ProxyStatus {
	var all []v1alpha1.ProxyStatus
	for _, o := range s.live {
		status := v1alpha1.ProxyStatus{
			Instance: o.Instance, Revision: max(0, o.Revision), ObservedAt: metav1.NewTime(o.ObservedAt), Address: cut(o.Address, 512),
		}
		status.Message = cut(trouble(o), 1024)
		all = append(all, status)
	}
	return all
}

// trouble is the worst of an instance's problems in a sentence; empty for none.
func trouble(o observed) string {
	if len(o.Problems) == 0 {
		return ""
	}
	worst := o.Problems[max(0, slices.IndexFunc(o.Problems, report.Problem.Hinders))]
	return worst.Reason + ": " + worst.Message
}

// warnOfLogs tells, once for each change, that an instance cannot record, soon
// may not, or has a log that the witness does not confirm.
func (r *Reconciler) warnOfLogs(s *scope) {
	told := map[string]string{}
	for _, p := range s.connection.Status.Proxies {
		told[p.Instance], _, _ = strings.Cut(p.Message, ":")
	}
	for _, o := range s.live {
		for _, p := range o.Problems {
			if p.Type != report.LogWritable && p.Type != report.LogSpace && p.Type != report.LogConsistent {
				continue
			}
			if now, _, _ := strings.Cut(trouble(o), ":"); now == p.Reason && now != told[o.Instance] {
				r.warn(s, p.Reason, "Record", "proxy %q: %s", o.Instance, p.Message)
			}
		}
	}
}

// known returns the reason if it is one of those that the API documents.
func known(reason, otherwise string, documented ...string) string {
	for _, d := range documented {
		if reason == d {
			return reason
		}
	}
	return otherwise
}

func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
