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
	switch {
	case vocabulary.Field == "" && vocabulary.Content == "":
		return errors.New("the protocol cannot mask; remove the mask, or refuse the operations with a Deny rule")
	case len(m.Fields)+len(m.Detect) == 0:
		return errors.New("it has neither fields nor detect, so it would hide nothing")
	case vocabulary.Field == "" && len(m.Fields) > 0:
		return errors.New("the protocol has no fields; name detectors by detect, or refuse the operations with a Deny rule")
	case vocabulary.Content == "" && len(m.Detect) > 0:
		return errors.New("the protocol cannot find content in answers; name fields, or refuse the operations with a Deny rule")
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
func dutiesFit(p *written, vocabulary policy.Vocabulary) error {
	if vocabulary.Row == "" && slices.ContainsFunc(p.limits, func(l v1alpha1.Limit) bool { return limitKinds[l.Type].returned }) {
		return errors.New("limits: the protocol cannot limit what is returned; remove them, or refuse the operations with a Deny rule")
	}
	for i, l := range p.limits {
		kind, known := limitKinds[l.Type]
		if !known {
			return fmt.Errorf("limits[%d]: %w", i, oneOf("type", string(l.Type), limitNames()))
		}
		if l.Maximum < 1 || kind.window != (l.WindowSeconds > 0) {
			return fmt.Errorf("limits[%d]: %s needs a maximum of at least 1, and windowSeconds exactly where it counts per window", i, l.Type)
		}
	}
	if p.targetRole != "" && vocabulary.Role == "" {
		return fmt.Errorf("targetRole: the protocol has no roles: leave %q out and write \"\"", p.targetRole)
	}
	return nil
}

// limitKinds are the types of limits: whether they are about what is returned, which not
// every protocol can count, whether they have a window, and where the bound goes.
var limitKinds = map[v1alpha1.LimitType]struct {
	returned, window bool
	bound            func(*policy.Limits, *policy.Window) *int64
}{
	v1alpha1.LimitRowsPerStatement:    {returned: true, bound: func(l *policy.Limits, _ *policy.Window) *int64 { return &l.RowsPerStatement }},
	v1alpha1.LimitBytesPerStatement:   {returned: true, bound: func(l *policy.Limits, _ *policy.Window) *int64 { return &l.BytesPerStatement }},
	v1alpha1.LimitRowsPerWindow:       {returned: true, window: true, bound: func(_ *policy.Limits, w *policy.Window) *int64 { return &w.Rows }},
	v1alpha1.LimitBytesPerWindow:      {returned: true, window: true, bound: func(_ *policy.Limits, w *policy.Window) *int64 { return &w.Bytes }},
	v1alpha1.LimitOperationsPerWindow: {window: true, bound: func(_ *policy.Limits, w *policy.Window) *int64 { return &w.Operations }},
	v1alpha1.LimitSessionSeconds:      {bound: func(l *policy.Limits, _ *policy.Window) *int64 { return &l.SessionSeconds }},
	v1alpha1.LimitIdleSeconds:         {bound: func(l *policy.Limits, _ *policy.Window) *int64 { return &l.IdleSeconds }},
	v1alpha1.LimitOutliveTokenSeconds: {bound: func(l *policy.Limits, _ *policy.Window) *int64 { return &l.OutliveTokenSeconds }},
	v1alpha1.LimitConcurrentSessions:  {bound: func(l *policy.Limits, _ *policy.Window) *int64 { return &l.ConcurrentSessions }},
}

func limitNames() []string {
	names := make([]string, 0, len(limitKinds))
	for name := range limitKinds {
		names = append(names, string(name))
	}
	return sortStrings(names)
}

func compileMask(owner string, m *v1alpha1.Mask) policy.Mask {
	mask := policy.Mask{
		Policy: owner, Name: m.Name, Fields: m.Fields, Method: policy.Method{Type: string(m.Method.Type)},
		Derived: string(m.Derived), Predicates: string(m.Predicates),
	}
	if len(m.Exempt) > 0 {
		mask.Exempt = compileSubjects(m.Exempt)
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
		kind, known := limitKinds[l.Type]
		if !known {
			continue // dutiesFit has refused it
		}
		var in *policy.Window
		if kind.window {
			in = window(out, l.WindowSeconds)
		}
		bound := kind.bound(out, in)
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
