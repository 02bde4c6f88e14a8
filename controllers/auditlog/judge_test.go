// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/witness"
)

// holding is what a witness holds that accepted a submission.
func holding(t *testing.T, h held, s witness.Submission) held {
	t.Helper()
	v := judge(h, &s)
	if v.outcome != advance {
		t.Fatalf("not accepted: %+v", v)
	}
	return held{keys: v.keys, checkpoint: v.checkpoint}
}

// TestJudge: checklist 45, signed checkpoints off the box with proofs of
// consistency: truncation, rollback and fork are told apart from growth.
func TestJudge(t *testing.T) {
	began := func() *Fake { return NewFake(t, "shop-0").Grow(100, "record") }
	tests := map[string]struct {
		reason string
		// then is what is shown once the witness holds the first 100 records of the log.
		then    func(f *Fake) witness.Submission
		outcome outcome
		why     string
	}{
		"Growth": {
			reason:  "A checkpoint that continues the one before takes its place.",
			then:    func(f *Fake) witness.Submission { return f.Grow(23, "record").Show(100) },
			outcome: advance,
		},
		"Closed": {
			reason:  "The closing checkpoint is one like any other.",
			then:    func(f *Fake) witness.Submission { return f.Grow(1, "stop").Close(100) },
			outcome: advance,
		},
		"ClosedWithoutMore": {
			reason:  "Only that the log was closed is new.",
			then:    func(f *Fake) witness.Submission { return f.Close(100) },
			outcome: advance,
		},
		"Same": {
			reason: "What is held already is no news.",
			then:   func(f *Fake) witness.Submission { return f.Show(100) },
		},
		"KeyRotation": {
			reason:  "The next key is introduced by the one before it.",
			then:    func(f *Fake) witness.Submission { return f.Rotate().Grow(5, "record").Show(100) },
			outcome: advance,
		},
		"OldKeyAfterRotation": {
			reason: "A key that was replaced signs nothing that comes after.",
			then: func(f *Fake) witness.Submission {
				old := f.signer
				f.Rotate().Grow(5, "record")
				f.signer = old
				return f.Show(100)
			},
			outcome: conflict, why: v1alpha1.ReasonBadSignature,
		},
		"ForgedRotation": {
			reason: "Who does not have the key cannot name the next.",
			then: func(f *Fake) witness.Submission {
				thief := NewFake(t, "shop-0")
				s := f.Rotate().Show(100)
				s.Rotations[0] = strings.Replace(s.Rotations[0], f.Keys.Current(), thief.Keys.Current(), 1)
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonBadSignature,
		},
		"Stale": {
			reason: "A proof from what was held before says nothing: the proxy has not seen yet what is held now.",
			then:   func(f *Fake) witness.Submission { return f.Grow(23, "record").Show(50) },
		},
		"Unaware": {
			reason: "Nor does one that was made before the proxy knew that anything is held.",
			then:   func(f *Fake) witness.Submission { return f.Grow(23, "record").Show(0) },
		},
		"Ahead": {
			reason: "Nor one from what this manager does not know to be held.",
			then:   func(f *Fake) witness.Submission { return f.Grow(23, "record").Show(110) },
		},
		"Replay": {
			reason: "An old submission, put back by whoever may write it, is no rollback of the log.",
			then: func(f *Fake) witness.Submission {
				old := f.Copy()
				old.leaves = old.leaves[:60]
				old.clock = old.clock.Add(-1)
				return old.Show(50)
			},
		},
		"RolledBack": {
			reason: "The proxy has fewer records than were seen, and knows it.",
			then: func(f *Fake) witness.Submission {
				f.leaves = f.leaves[:60]
				s := f.Grow(1, "recovery").Show(0)
				s.From = 100
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonRolledBack,
		},
		"ReplayAsNewest": {
			reason: "What it goes on from is not signed: an old submission says nothing else with another number.",
			then: func(f *Fake) witness.Submission {
				old := f.Copy()
				old.leaves = old.leaves[:60]
				old.clock = old.clock.Add(-1)
				s := old.Show(50)
				s.From, s.Proof = 100, nil
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonBadProof,
		},
		"RolledBackUnaware": {
			reason: "An older copy of the log signs anew: its clock shows it.",
			then: func(f *Fake) witness.Submission {
				f.leaves = f.leaves[:60]
				return f.Grow(1, "recovery").Show(0)
			},
			outcome: conflict, why: v1alpha1.ReasonRolledBack,
		},
		"TailCut": {
			reason: "The last record was cut and another written in its place.",
			then: func(f *Fake) witness.Submission {
				f.leaves = f.leaves[:99]
				return f.Grow(1, "another").Show(100)
			},
			outcome: conflict, why: v1alpha1.ReasonForked,
		},
		"Forked": {
			reason: "An older copy went on past what was seen, and says that it has no proof.",
			then: func(f *Fake) witness.Submission {
				f.leaves = f.leaves[:60]
				s := f.Grow(90, "other").Show(0)
				s.From = 100
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonForked,
		},
		"ForkedWithProof": {
			reason: "The proof of another history is none of this one.",
			then: func(f *Fake) witness.Submission {
				f.leaves = f.leaves[:60]
				return f.Grow(90, "other").Show(100)
			},
			outcome: conflict, why: v1alpha1.ReasonBadProof,
		},
		"BadProof": {
			reason: "One wrong hash is a wrong proof.",
			then: func(f *Fake) witness.Submission {
				s := f.Grow(23, "record").Show(100)
				s.Proof[0] = tlog.Hash{1}
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonBadProof,
		},
		"Forged": {
			reason:  "A checkpoint that the log's key did not sign.",
			then:    func(f *Fake) witness.Submission { return f.Grow(23, "record").Forge(100) },
			outcome: conflict, why: v1alpha1.ReasonBadSignature,
		},
		"OfAnotherLog": {
			reason: "A checkpoint of another log under this one's id.",
			then: func(f *Fake) witness.Submission {
				s := NewFake(t, "shop-0").Grow(200, "record").Show(0)
				s.Log = f.ID()
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonBadSignature,
		},
		"OtherCheckpointInside": {
			reason: "This log's key and id, another log's checkpoint.",
			then: func(f *Fake) witness.Submission {
				s := f.Show(100)
				s.Checkpoint = NewFake(t, "shop-0").Grow(200, "record").Show(0).Checkpoint
				return s
			},
			outcome: conflict, why: v1alpha1.ReasonBadSignature,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := began()
			h := holding(t, held{}, f.Show(0))
			s := tc.then(f)
			v := judge(h, &s)
			if v.outcome != tc.outcome || v.reason != tc.why {
				t.Errorf("%s: got outcome %d %q %q, want %d %q", tc.reason, v.outcome, v.reason, v.message, tc.outcome, tc.why)
			}
			if v.outcome == conflict && v.message == "" {
				t.Errorf("%s: no sentence", tc.reason)
			}
		})
	}
}

// TestJudgeNewLog: of a log that nothing is held of, only a signed checkpoint
// that needs no proof makes a beginning.
func TestJudgeNewLog(t *testing.T) {
	f := NewFake(t, "shop-0").Grow(7, "record")
	anothers := f.Show(0)
	anothers.Log = FakeID()
	for name, tc := range map[string]struct {
		reason string
		shown  witness.Submission
		want   outcome
	}{
		"First":     {"The beginning.", f.Show(0), advance},
		"Forged":    {"A forger begins no log.", f.Forge(0), refuse},
		"StolenID":  {"A log's id is that of its key.", anothers, refuse},
		"Continues": {"What is not held cannot be continued.", f.Show(3), nothing},
	} {
		if v := judge(held{}, &tc.shown); v.outcome != tc.want {
			t.Errorf("%s: %s: got %+v, want outcome %d", name, tc.reason, v, tc.want)
		}
	}
}

// TestGraver: what the log itself signed is not hidden by what anybody could
// have shown before, and the first of equals stays.
func TestGraver(t *testing.T) {
	for _, tc := range []struct {
		reason, than string
		want         bool
	}{
		{v1alpha1.ReasonBadSignature, "", true},
		{v1alpha1.ReasonRolledBack, v1alpha1.ReasonBadSignature, true},
		{v1alpha1.ReasonForked, v1alpha1.ReasonClaimed, true},
		{v1alpha1.ReasonForked, v1alpha1.ReasonRolledBack, false},
		{v1alpha1.ReasonBadProof, v1alpha1.ReasonRolledBack, false},
		{v1alpha1.ReasonBadSignature, v1alpha1.ReasonBadProof, false},
	} {
		if got := graver(tc.reason, tc.than); got != tc.want {
			t.Errorf("graver(%q, %q) = %v", tc.reason, tc.than, got)
		}
	}
}
