// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxMessage keeps conditions readable in a terminal and far below the limit of
// metav1.Condition.
const maxMessage = 1024

// Verdict is what one condition shall say.
type Verdict struct {
	Type    string                 `json:"type"`
	Status  metav1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message,omitempty"`
}

// True makes a positive verdict.
func True(kind, reason, message string) Verdict {
	return Verdict{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

// False makes a negative verdict.
func False(kind, reason, message string) Verdict {
	return Verdict{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// Unknown makes a verdict of something that could not be observed.
func Unknown(kind, reason, message string) Verdict {
	return Verdict{Type: kind, Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}

// OK says whether the verdict is positive.
func (v Verdict) OK() bool { return v.Status == metav1.ConditionTrue }

// Write writes the verdicts as conditions of the observed generation. The time
// of a condition changes only with its status.
func Write(conditions *[]metav1.Condition, generation int64, verdicts ...Verdict) {
	for _, v := range verdicts {
		meta.SetStatusCondition(conditions, metav1.Condition{
			Type:               v.Type,
			Status:             v.Status,
			Reason:             v.Reason,
			Message:            shorten(v.Message),
			ObservedGeneration: generation,
		})
	}
}

// Says says whether conditions say the verdicts of the generation already.
func Says(conditions []metav1.Condition, generation int64, verdicts ...Verdict) bool {
	for _, v := range verdicts {
		c := meta.FindStatusCondition(conditions, v.Type)
		if c == nil || c.Status != v.Status || c.Reason != v.Reason || c.Message != shorten(v.Message) || c.ObservedGeneration != generation {
			return false
		}
	}
	return true
}

// Summarise makes the condition Ready of the others: the first that is False,
// else the first that is Unknown, gives its reason and message, named by type.
// Conditions named optional are left out where they are not present.
func Summarise(ready, allGood string, verdicts ...Verdict) Verdict {
	worst := True(ready, allGood, "")
	for _, v := range verdicts {
		switch {
		case v.Status == metav1.ConditionFalse:
			return False(ready, v.Reason, v.Type+": "+v.Message)
		case v.Status == metav1.ConditionUnknown && worst.OK():
			worst = Unknown(ready, v.Reason, v.Type+": "+v.Message)
		}
	}
	return worst
}

// Remove drops conditions that no longer apply.
func Remove(conditions *[]metav1.Condition, kinds ...string) {
	for _, kind := range kinds {
		meta.RemoveStatusCondition(conditions, kind)
	}
}

func shorten(message string) string {
	message = strings.ToValidUTF8(message, "?")
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage - len("...")
	for cut > 0 && message[cut]&0xC0 == 0x80 {
		cut--
	}
	return message[:cut] + "..."
}
