// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditsession

import (
	"context"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/identity/sharing"
)

// byProof is the index of sessions by the credential that they are of.
const byProof = "spec.actor.proofID"

func proofOf(object client.Object) []string {
	session, ok := object.(*v1alpha1.AuditSession)
	if !ok || session.Spec.Actor.ProofID == "" {
		return nil
	}
	return []string{session.Spec.Actor.ProofID}
}

// finding is a credential that is used from two networks at a time, the lesser first.
type finding struct {
	proof        string
	one, another netip.Prefix
}

// A finding is told once in toldFor; no more than maxTold are remembered. A session that
// ended longer than recently ago is not compared any more.
const (
	toldFor  = 24 * time.Hour
	maxTold  = 4096
	recently = 10 * time.Minute
)

// compare looks for sessions of the same credential at other proxies, of whatever Connection,
// that overlap with this one and come from another network. What one proxy serves alone it
// finds itself.
func (r *Reconciler) compare(ctx context.Context, s *scope) error {
	own := s.session
	if own.Spec.Actor.ProofID == "" || ended(own, s.now).Before(s.now.Add(-recently)) {
		return nil
	}
	network, known := networkOf(own)
	if !known {
		return nil
	}
	var same v1alpha1.AuditSessionList
	if err := r.Client.List(ctx, &same, client.MatchingFields{byProof: own.Spec.Actor.ProofID}); err != nil {
		return err
	}
	for i := range same.Items {
		other := &same.Items[i]
		elsewhere, known := networkOf(other)
		if !known || other.Spec.ProxyInstance == own.Spec.ProxyInstance || other.Spec.Actor.Issuer != own.Spec.Actor.Issuer ||
			!sharing.Apart(network, elsewhere) || !overlap(own, other, s.now) {
			continue
		}
		if r.isNew(newFinding(own.Spec.Actor.ProofID, network, elsewhere), s.now) {
			r.tell(own, other, network, elsewhere)
		}
	}
	return nil
}

func newFinding(proof string, one, another netip.Prefix) finding {
	if another.Compare(one) < 0 {
		one, another = another, one
	}
	return finding{proof, one, another}
}

// isNew says whether a finding is told for the first time.
func (r *Reconciler) isNew(f finding, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, told := r.told[f]; told && now.Sub(at) < toldFor {
		return false
	}
	if r.told == nil || len(r.told) >= maxTold {
		// What is told twice does less harm than what is told never.
		r.told = map[finding]time.Time{}
	}
	r.told[f] = now
	return true
}

func (r *Reconciler) tell(own, other *v1alpha1.AuditSession, network, elsewhere netip.Prefix) {
	if r.Shared != nil {
		r.Shared()
	}
	if r.Events != nil {
		// The name, which may be of any length, comes last.
		r.Events.Eventf(own, other, corev1.EventTypeWarning, "SharedCredential", "CompareSessions", "%s", kit.Note(
			"a credential is used from %s here, and from %s in AuditSession %s/%s of proxy %q at the same time: that of %s",
			network, elsewhere, other.Namespace, other.Name, other.Spec.ProxyInstance, own.Spec.Actor.Username))
	}
}

// networkOf is where a session's client is; false where that is not known.
func networkOf(session *v1alpha1.AuditSession) (netip.Prefix, bool) {
	address, err := netip.ParseAddrPort(session.Spec.ClientAddress)
	if err != nil {
		return netip.Prefix{}, false
	}
	return sharing.Options{}.Place(address.Addr(), false)
}

// overlap says whether two sessions went on at the same time, by the clocks of their proxies.
func overlap(a, b *v1alpha1.AuditSession, now time.Time) bool {
	return a.Spec.StartedAt.Time.Before(ended(b, now)) && b.Spec.StartedAt.Time.Before(ended(a, now))
}

// ended is when a session ended, in the future where it goes on.
func ended(session *v1alpha1.AuditSession, now time.Time) time.Time {
	if !over(session) || session.Status.EndedAt == nil {
		return now.Add(time.Minute)
	}
	return session.Status.EndedAt.Time
}
