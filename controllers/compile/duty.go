// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
)

// maskFits says whether a mask can hide something on a protocol. Admission
// refuses words that are none; they are looked at once more, since what was
// stored under another definition is not checked again.
func maskFits(m *v1alpha1.Mask, vocabulary policy.Vocabulary) error {
	if vocabulary.Field == "" {
		return errors.New("the protocol cannot mask; remove the mask, or refuse the operations with a Deny rule")
	}
	if len(m.Fields)+len(m.Detect) == 0 {
		return errors.New("it has neither fields nor detect, so it would hide nothing")
	}
	for _, glob := range m.Fields {
		// A glob without '*' and with too few parts never matches a field:
		// the mask would be there and hide nothing.
		if parts := strings.Count(vocabulary.Field, "."); !strings.Contains(glob, "*") && strings.Count(glob, ".") < parts {
			return fmt.Errorf("%q cannot match a field; write it as %s, for example %q", glob, vocabulary.Field, "*."+glob)
		}
	}
	for _, detector := range m.Detect {
		if err := oneOf("detector", string(detector), policy.Detectors()); err != nil {
			return err
		}
	}
	if m.Derived != "" {
		if err := oneOf("value of derived", string(m.Derived), []string{string(v1alpha1.DerivedMask), string(v1alpha1.DerivedDeny)}); err != nil {
			return err
		}
	}
	if m.Predicates != "" {
		if err := oneOf("value of predicates", string(m.Predicates), []string{string(v1alpha1.PredicatesAllow), string(v1alpha1.PredicatesDeny)}); err != nil {
			return err
		}
	}
	return oneOf("method", string(m.Method.Type), policy.Methods())
}

func oneOf(what, written string, words []string) error {
	if slices.Contains(words, written) {
		return nil
	}
	return fmt.Errorf("no %s is named %q%s", what, written, didYouMean(written, words))
}

// dutiesFit says whether a protocol can do what limits and targetRole ask for.
func dutiesFit(p *v1alpha1.AccessPolicy, vocabulary policy.Vocabulary) error {
	if len(p.Spec.Limits) > 0 && vocabulary.Row == "" {
		return errors.New("limits: the protocol cannot limit what is returned; remove them, or refuse the operations with a Deny rule")
	}
	for i, l := range p.Spec.Limits {
		if !slices.Contains(limitTypes, l.Type) {
			words := make([]string, 0, len(limitTypes))
			for _, t := range limitTypes {
				words = append(words, string(t))
			}
			return fmt.Errorf("limits[%d]: %w", i, oneOf("type", string(l.Type), words))
		}
		if l.Maximum < 1 || perWindow(l.Type) != (l.WindowSeconds > 0) {
			return fmt.Errorf("limits[%d]: %s needs a maximum of at least 1, and windowSeconds exactly where it counts per window", i, l.Type)
		}
	}
	if p.Spec.TargetRole != "" && vocabulary.Role == "" {
		return fmt.Errorf("targetRole: the protocol has no roles: leave %q out and write \"\"", p.Spec.TargetRole)
	}
	return nil
}

var limitTypes = []v1alpha1.LimitType{
	v1alpha1.LimitRowsPerStatement, v1alpha1.LimitBytesPerStatement, v1alpha1.LimitRowsPerWindow, v1alpha1.LimitBytesPerWindow,
}

func perWindow(t v1alpha1.LimitType) bool {
	return t == v1alpha1.LimitRowsPerWindow || t == v1alpha1.LimitBytesPerWindow
}

func compileMask(owner string, m *v1alpha1.Mask) policy.Mask {
	mask := policy.Mask{
		Policy: owner, Name: m.Name, Fields: m.Fields, Method: policy.Method{Type: string(m.Method.Type)},
		Derived: string(m.Derived), Predicates: string(m.Predicates),
	}
	for _, detector := range m.Detect {
		mask.Detect = append(mask.Detect, string(detector))
	}
	if m.Method.KeepLast != nil {
		mask.Method.KeepLast = m.Method.KeepLast.Count
	}
	return mask
}

// compileLimits puts the limits of one policy together, nil where there are
// none. Of two for the same the stricter holds.
func compileLimits(all []v1alpha1.Limit) *policy.Limits {
	if len(all) == 0 {
		return nil
	}
	out := &policy.Limits{}
	for _, l := range all {
		var bound *int64
		switch l.Type {
		case v1alpha1.LimitRowsPerStatement:
			bound = &out.RowsPerStatement
		case v1alpha1.LimitBytesPerStatement:
			bound = &out.BytesPerStatement
		case v1alpha1.LimitRowsPerWindow:
			bound = &window(out, l.WindowSeconds).Rows
		case v1alpha1.LimitBytesPerWindow:
			bound = &window(out, l.WindowSeconds).Bytes
		default: // dutiesFit has refused it
			continue
		}
		if *bound == 0 || l.Maximum < *bound {
			*bound = l.Maximum
		}
	}
	slices.SortFunc(out.Windows, func(a, b policy.Window) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return out
}

// window finds or makes the window of a length. What it returns holds until the
// next call.
func window(limits *policy.Limits, seconds int32) *policy.Window {
	i := slices.IndexFunc(limits.Windows, func(w policy.Window) bool { return w.Seconds == seconds })
	if i < 0 {
		i = len(limits.Windows)
		limits.Windows = append(limits.Windows, policy.Window{Seconds: seconds})
	}
	return &limits.Windows[i]
}
