// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/identity/expression"
)

// programs are the compiled expressions of a Config; those that it has not are nil.
type programs struct {
	username, groups, uid, kind, kubernetes *expression.Expression
	extra                                   []extraProgram
	claimRules, userRules                   []ruleProgram
}

type extraProgram struct {
	key string
	*expression.Expression
}

type ruleProgram struct {
	message string
	*expression.Expression
}

// Check returns all faults of a Config: with it a Verifier can be made, or not. It is
// what New checks, for those who write configurations.
func Check(config Config) error {
	if err := config.validate(); err != nil {
		return err
	}
	_, err := config.compile()
	return err
}

// emailClaim is the claim that names nobody unless it is verified.
const emailClaim = "email"

// The fields that a Config is written in begin with these.
const (
	oidcSettings = "spec.oidc."
	samlSettings = "spec.saml."
)

func (c *Config) settings() string {
	if c.VouchedOnly {
		return samlSettings
	}
	return oidcSettings
}

// compile compiles all expressions and returns every fault, by the field of the
// IdentityProvider.
func (c *Config) compile() (*programs, error) {
	mappings := c.settings() + "claimMappings."
	p := &programs{}
	var faults []error
	compile := func(by func(field, text string) (*expression.Expression, error), field, text string) *expression.Expression {
		if text == "" {
			return nil
		}
		compiled, err := by(field, text)
		if err != nil {
			faults = append(faults, err)
		}
		return compiled
	}
	p.username = compile(expression.Mapping, mappings+"username.expression", c.UsernameExpression)
	p.groups = compile(expression.Mapping, mappings+"groups.expression", c.GroupsExpression)
	p.uid = compile(expression.Mapping, mappings+"uid.expression", c.UIDExpression)
	p.kind = compile(expression.Mapping, mappings+"kind.expression", c.KindExpression)
	p.kubernetes = compile(expression.Mapping, "spec.kubernetesUsername.expression", c.KubernetesUsernameExpression)
	for i, extra := range c.Extra {
		if slices.ContainsFunc(c.Extra[:i], func(other Extra) bool { return other.Key == extra.Key }) {
			faults = append(faults, fmt.Errorf("%sextra[%d].key: there is another extra of this key: %q", mappings, i, extra.Key))
		}
		p.extra = append(p.extra, extraProgram{extra.Key, compile(expression.Mapping, fmt.Sprintf("%sextra[%d].valueExpression", mappings, i), extra.Expression)})
	}
	for _, rule := range c.ClaimRules {
		field := fmt.Sprintf("%sclaimValidationRules[%d].expression", c.settings(), rule.Index)
		p.claimRules = append(p.claimRules, ruleProgram{rule.Message, compile(expression.ClaimRule, field, rule.Expression)})
	}
	for _, rule := range c.UserRules {
		field := fmt.Sprintf("%suserValidationRules[%d].expression", c.settings(), rule.Index)
		p.userRules = append(p.userRules, ruleProgram{rule.Message, compile(expression.UserRule, field, rule.Expression)})
	}
	if len(faults) == 0 {
		faults = append(faults, p.emailIsVerified(c.settings()))
	}
	return p, errors.Join(faults...)
}

// emailIsVerified refuses user names made of e-mail addresses that nobody has asked
// about, as the API server does: who sets an address that is not his would be its owner.
func (p *programs) emailIsVerified(settings string) error {
	const verified = "email_verified"
	var asks []*expression.Expression
	if p.username != nil {
		asks = append(asks, p.username)
	}
	if p.kubernetes != nil {
		asks = append(asks, p.kubernetes)
	}
	if !slices.ContainsFunc(asks, func(e *expression.Expression) bool { return e.Reads(emailClaim) }) {
		return nil
	}
	for _, extra := range p.extra {
		asks = append(asks, extra.Expression)
	}
	for _, rule := range p.claimRules {
		asks = append(asks, rule.Expression)
	}
	if slices.ContainsFunc(asks, func(e *expression.Expression) bool { return e.Reads(verified) }) {
		return nil
	}
	example := "claims.?email_verified.orValue(false) == true"
	if settings == samlSettings {
		// Attributes are strings.
		example = "claims.?email_verified.orValue('') == 'true'"
	}
	return fmt.Errorf("%[1]sclaimMappings.username.expression: claims.email is used and claims.email_verified is not: "+
		"add a rule to %[1]sclaimValidationRules, such as %[2]s", settings, example)
}

// hold checks rules; the first that does not hold is an error.
func hold(ctx context.Context, rules []ruleProgram, input *expression.Input) error {
	for _, rule := range rules {
		holds, err := rule.Holds(ctx, input)
		if err != nil {
			return err
		}
		if !holds {
			return fmt.Errorf("%s: %s", rule.Field(), cmp.Or(rule.message, "the rule does not hold for this token"))
		}
	}
	return nil
}
