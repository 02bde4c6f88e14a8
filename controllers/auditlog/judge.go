// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"fmt"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/witness"
)

// maxKeys bounds a log's keys, as the AuditLog's status does.
const maxKeys = 64

// outcome is what a submission comes to.
type outcome int

const (
	// nothing new, or nothing that can be judged before the proxy has seen what
	// the witness holds: it shows another one then.
	nothing outcome = iota
	// advance: the checkpoint continues what is held and takes its place.
	advance
	// conflict: it excludes what is held, or is not the log's at all.
	conflict
	// refuse: nothing in it can be laid to any log.
	refuse
)

// verdict is what a submission says of a log.
type verdict struct {
	outcome outcome
	// reason and message are for conflict and refuse.
	reason, message string
	// checkpoint and keys are for advance.
	checkpoint tree.Checkpoint
	keys       *tree.Keys
}

func conflicting(reason, format string, args ...any) verdict {
	return verdict{outcome: conflict, reason: reason, message: fmt.Sprintf(format, args...)}
}

// held is what the witness has of a log.
type held struct {
	// keys is nil where the log is new.
	keys *tree.Keys
	// checkpoint is of size 0 where there is none.
	checkpoint tree.Checkpoint
}

// read takes what is held from a status, which only the manager writes.
func read(logID string, status *v1alpha1.AuditLogStatus) (held, error) {
	if status.Checkpoint == "" {
		return held{}, nil
	}
	fail := func(err error) (held, error) {
		return held{}, fmt.Errorf("cannot read status of AuditLog %q: restore it from a copy: %w", logID, err)
	}
	if len(status.Keys) == 0 {
		return fail(fmt.Errorf("a checkpoint and no key"))
	}
	keys, err := tree.NewKeys(logID, status.Keys[0])
	if err != nil {
		return fail(err)
	}
	for _, rotation := range status.Rotations {
		if err := keys.Follow(rotation); err != nil {
			return fail(err)
		}
	}
	checkpoint, err := keys.Open(status.Checkpoint)
	if err != nil {
		return fail(err)
	}
	return held{keys: keys, checkpoint: checkpoint}, nil
}

// judge compares a submission with what is held of its log. It believes nothing
// that is not signed by the log's own key, and proven.
func judge(h held, s *witness.Submission) verdict {
	keys, v := follow(h, s)
	if keys == nil {
		return v
	}
	shown, err := keys.Open(s.Checkpoint)
	if err != nil {
		return strange(h, fmt.Errorf("a checkpoint was shown that the log's key did not sign: %w", err))
	}
	if h.checkpoint.Size == 0 {
		if s.From != 0 {
			// It goes on from what is not there, or not seen yet.
			return verdict{}
		}
		return verdict{outcome: advance, checkpoint: shown, keys: keys}
	}
	return compare(h.checkpoint, &shown, keys, s)
}

// follow takes the submission's keys into account.
func follow(h held, s *witness.Submission) (*tree.Keys, verdict) {
	var keys *tree.Keys
	if h.keys != nil {
		keys = h.keys.Clone()
		if s.Key != keys.First() {
			return nil, strange(h, fmt.Errorf("another first key was shown: %q", s.Key))
		}
	} else {
		var err error
		if keys, err = tree.NewKeys(s.Log, s.Key); err != nil {
			return nil, strange(h, err)
		}
	}
	for _, rotation := range s.Rotations {
		if err := keys.Follow(rotation); err != nil {
			return nil, strange(h, fmt.Errorf("a key rotation was shown that the log's key did not sign: %w", err))
		}
	}
	if n := len(keys.Texts()); n > maxKeys {
		return nil, verdict{outcome: refuse, reason: "TooManyKeys", message: fmt.Sprintf("the log has %d keys, at most %d can be kept: begin a new log", n, maxKeys)}
	}
	return keys, verdict{}
}

// strange is the verdict on what the log did not sign. Of a log that nothing is
// known of, it says nothing.
func strange(h held, err error) verdict {
	if h.keys == nil {
		return verdict{outcome: refuse, reason: v1alpha1.ReasonBadSignature, message: err.Error()}
	}
	return conflicting(v1alpha1.ReasonBadSignature, "%v", err)
}

// compare compares two checkpoints that the log signed.
func compare(last tree.Checkpoint, shown *tree.Checkpoint, keys *tree.Keys, s *witness.Submission) verdict {
	goOn := verdict{outcome: advance, checkpoint: *shown, keys: keys}
	switch {
	case shown.Size < last.Size && shown.Time.After(last.Time):
		return conflicting(v1alpha1.ReasonRolledBack,
			"a checkpoint of %d records was signed at %s, after that of %d records which the witness holds: an older copy of the log was put in place",
			shown.Size, shown.Time.Format("2006-01-02T15:04:05.999Z07:00"), last.Size)
	case shown.Size < last.Size && s.From == last.Size:
		// From is not signed: whoever may write the submission can say so of any
		// checkpoint that was shown long ago.
		return conflicting(v1alpha1.ReasonBadProof,
			"a checkpoint of %d records, signed before that of %d records which the witness holds, was shown as what comes after it: an old submission was put back, or an older copy of the log is in place and its clock is behind",
			shown.Size, last.Size)
	case shown.Size < last.Size:
		// Signed before what is held: a copy of what was shown long ago.
		return verdict{}
	case shown.Size == last.Size && shown.Root != last.Root:
		return conflicting(v1alpha1.ReasonForked, "the first %d records were shown with root %s, the witness has seen them with root %s: they were rewritten, or two proxies go on with copies of one log",
			last.Size, shown.Root, last.Root)
	case shown.Size == last.Size && shown.Closed && !last.Closed:
		return goOn
	case shown.Size == last.Size:
		return verdict{}
	case s.From != last.Size:
		// Shown before the proxy had seen what is held now.
		return verdict{}
	case len(s.Proof) == 0:
		return conflicting(v1alpha1.ReasonForked, "a checkpoint of %d records does not continue the %d that the witness has seen: they were rewritten, or two proxies go on with copies of one log",
			shown.Size, last.Size)
	}
	if err := tree.Check(s.Proof, shown.Tree(), last.Tree()); err != nil {
		return conflicting(v1alpha1.ReasonBadProof, "a checkpoint of %d records was shown with a proof that it continues the %d that the witness has seen, and the proof is wrong: %v",
			shown.Size, last.Size, err)
	}
	return goOn
}

// graver says whether a reason to distrust a log outweighs one found before: two
// checkpoints that the log signed outweigh what it did not sign.
func graver(reason, than string) bool {
	return weight(reason) > weight(than)
}

func weight(reason string) int {
	switch reason {
	case v1alpha1.ReasonRolledBack, v1alpha1.ReasonForked:
		return 2
	case v1alpha1.ReasonBadProof, v1alpha1.ReasonBadSignature, v1alpha1.ReasonClaimed:
		return 1
	default:
		return 0
	}
}
