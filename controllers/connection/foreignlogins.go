// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

const (
	// foreignFor is how long a login that no proxy made is held against isolation.
	foreignFor = 24 * time.Hour
	// maxForeign is how many of them are kept: those seen last, so that the last of
	// them counts for as long as it has to.
	maxForeign = 8
	// longestForeign is how long ago one that is still there may have been found.
	longestForeign = 365 * 24 * time.Hour
)

// foreignLogins are the logins with the stored credential's role that no proxy made:
// those that were known, with what is reported now. Proxies forget theirs when they are
// replaced, and whoever can replace one must not thereby make a finding go away.
func foreignLogins(s *scope) []v1alpha1.ForeignLogin {
	type id struct{ target, login string }
	found := map[id]v1alpha1.ForeignLogin{}
	for _, l := range s.connection.Status.ForeignLogins {
		found[id{l.Target, l.Login}] = l
	}
	for _, o := range slices.Concat(s.live, s.gone) {
		if o.Target == nil {
			continue
		}
		for _, l := range o.Target.Foreign {
			if !l.OwnRole {
				continue
			}
			now := asSeen(o, l)
			if known, ok := found[id{now.Target, now.Login}]; ok {
				if known.FoundAt.Before(&now.FoundAt) {
					now.FoundAt = known.FoundAt
				}
				if now.SeenAt.Before(&known.SeenAt) {
					now.SeenAt = known.SeenAt
				}
			}
			found[id{now.Target, now.Login}] = now
		}
	}
	changed, _ := credentialChangedAt(s)
	kept := make([]v1alpha1.ForeignLogin, 0, len(found))
	for _, l := range found {
		if s.now.Sub(l.SeenAt.Time) <= foreignFor && !l.SeenAt.Time.Before(changed) {
			kept = append(kept, l)
		}
	}
	slices.SortFunc(kept, func(a, b v1alpha1.ForeignLogin) int {
		return cmp.Or(b.SeenAt.Compare(a.SeenAt.Time), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Login, b.Login))
	})
	return kept[:min(len(kept), maxForeign)]
}

// asSeen is a reported login by this process's clock, and within what the API takes:
// whatever a proxy reports, the status can be written.
func asSeen(o observed, l report.ForeignLogin) v1alpha1.ForeignLogin {
	at := o.staleAt.Add(-report.StaleAfter) // when the report came
	seen := at.Add(-max(0, o.ObservedAt.Sub(l.SeenAt)))
	found := seen.Add(-min(max(0, l.SeenAt.Sub(l.FoundAt)), longestForeign))
	return v1alpha1.ForeignLogin{
		Target: cmp.Or(cut(l.Target, 320), "unknown"), Login: cmp.Or(cut(l.Login, 256), "unknown"), Address: cut(l.Address, 256),
		FoundAt: metav1.NewTime(found).Rfc3339Copy(), SeenAt: metav1.NewTime(seen).Rfc3339Copy(),
	}
}

// credentialChangedAt is when the password at the target was last changed, as an admin
// says; zero where nobody does, and why what is said does not count.
func credentialChangedAt(s *scope) (at time.Time, refused string) {
	said, ok := s.connection.Annotations[v1alpha1.AnnotationCredentialChangedAt]
	if !ok {
		return time.Time{}, ""
	}
	at, err := time.Parse(time.RFC3339, said)
	switch {
	case err != nil:
		return time.Time{}, fmt.Sprintf("; annotation %s is no time as 2026-01-02T15:04:05Z: %q", v1alpha1.AnnotationCredentialChangedAt, cut(said, 64))
	case at.After(s.now):
		// It would let pass whoever comes until then.
		return time.Time{}, fmt.Sprintf("; annotation %s does not count while it is in the future: %q", v1alpha1.AnnotationCredentialChangedAt, said)
	}
	return at, ""
}

// inWords tells of foreign logins.
func inWords(logins []v1alpha1.ForeignLogin) []string {
	words := make([]string, 0, len(logins))
	for _, l := range logins {
		words = append(words, fmt.Sprintf("at %s from %s, found %s", l.Target, cmp.Or(l.Address, "an unknown address"), l.FoundAt.UTC().Format(time.RFC3339)))
	}
	return words
}
