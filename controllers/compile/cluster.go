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

// clusterFits judges a ClusterAccessPolicy, which may be about Connections of several
// protocols, and about some that are not there yet: whatever it names must exist in one
// of them.
func clusterFits(p *written, protocols Protocols) error {
	var all policy.Vocabulary
	var vocabularies []policy.Vocabulary
	for _, name := range protocols.Names() {
		v := protocols[name].Vocabulary()
		vocabularies = append(vocabularies, v)
		all.Actions, all.Properties = append(all.Actions, v.Actions...), append(all.Properties, v.Properties...)
		all.Field, all.Row, all.Role = cmp.Or(all.Field, v.Field), cmp.Or(all.Row, v.Row), cmp.Or(all.Role, v.Role)
	}
	if err := errors.Join(rulesFit(p, all), dutiesFit(p, all)); err != nil {
		return first(err)
	}
	for i := range p.rules {
		rule := compileRule(&p.rules[i])
		if !slices.ContainsFunc(vocabularies, func(v policy.Vocabulary) bool { return applies(rule, v) }) {
			return fmt.Errorf("rule %q: no protocol has both one of the actions and all of the properties", rule.Name)
		}
	}
	for i := range p.masks {
		if err := anyMaskFits(&p.masks[i], vocabularies); err != nil {
			return fmt.Errorf("mask %q: %w", p.masks[i].Name, err)
		}
	}
	return nil
}

// first is the first of joined errors.
func first(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// anyMaskFits says whether one of the protocols can hide what the mask names.
func anyMaskFits(m *v1alpha1.Mask, vocabularies []policy.Vocabulary) error {
	err := maskFits(m, policy.Vocabulary{}) // no protocol can mask
	for _, v := range vocabularies {
		if v.Field == "" && len(m.Fields) > 0 || v.Content == "" && len(m.Detect) > 0 {
			continue
		}
		if err = maskFits(m, v); err == nil {
			return nil
		}
	}
	return err
}

// applies says whether there are operations of a protocol that the rule can match.
func applies(r policy.Rule, vocabulary policy.Vocabulary) bool {
	actions, properties := words(vocabulary.Actions), words(vocabulary.Properties)
	matches := slices.ContainsFunc(r.Actions, func(glob string) bool {
		return slices.ContainsFunc(actions, func(name string) bool { return policy.Match(glob, name) })
	})
	return matches && !slices.ContainsFunc(r.Properties, func(name string) bool { return !slices.Contains(properties, name) })
}

// forProtocol makes of a ClusterAccessPolicy what it comes to on a protocol. Rules about
// operations, and masks of fields, that the protocol does not have are left out: there is
// nothing to refuse or to hide. What it has and cannot hide or count is refused.
func forProtocol(p policy.Policy, name string, vocabulary policy.Vocabulary) policy.Policy {
	if !p.Cluster {
		return p
	}
	p.Rules = slices.DeleteFunc(slices.Clone(p.Rules), func(r policy.Rule) bool { return !applies(r, vocabulary) })
	var missing []string
	detects := func(m policy.Mask) bool { return len(m.Detect) > 0 }
	if vocabulary.Content == "" && slices.ContainsFunc(p.Masks, detects) {
		missing = append(missing, "find content in answers")
	}
	p.Masks = slices.DeleteFunc(slices.Clone(p.Masks), func(m policy.Mask) bool {
		return vocabulary.Content == "" && detects(m) || vocabulary.Field == "" && !detects(m)
	})
	if l := p.Limits; l != nil && vocabulary.Row == "" && returned(l) {
		missing = append(missing, "count what is returned")
	}
	if len(missing) > 0 {
		p.Rules = append(p.Rules, policy.Rule{
			Name: "beyond-the-protocol", Effect: policy.Deny, Actions: []string{"*", "unknown"},
			Message: fmt.Sprintf("ClusterAccessPolicy %q needs proxies that %s, which they cannot for protocol %s", p.Name, strings.Join(missing, " and "), name),
		})
	}
	return p
}

// returned says whether one of the limits is about what is returned.
func returned(l *policy.Limits) bool {
	return l.RowsPerStatement+l.BytesPerStatement > 0 ||
		slices.ContainsFunc(l.Windows, func(w policy.Window) bool { return w.Rows+w.Bytes > 0 })
}
