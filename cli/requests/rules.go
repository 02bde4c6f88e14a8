// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

// parseRule reads [KIND/]POLICY/RULE.
func parseRule(text string) (v1alpha1.RequestedRule, error) {
	kind, rest := v1alpha1.KindAccessPolicy, text
	if first, after, _ := strings.Cut(text, "/"); strings.Contains(after, "/") {
		kind, rest = v1alpha1.PolicyKind(first), after
	}
	policy, rule, _ := strings.Cut(rest, "/")
	known := kind == v1alpha1.KindAccessPolicy || kind == v1alpha1.KindClusterAccessPolicy
	if !known || policy == "" || rule == "" || strings.Contains(rule, "/") {
		return v1alpha1.RequestedRule{}, fmt.Errorf("no rule: --rule %q: write POLICY/RULE, or ClusterAccessPolicy/POLICY/RULE, as the refusal names it", text)
	}
	return v1alpha1.RequestedRule{Kind: kind, Policy: policy, Rule: rule}, nil
}

// offeredRule is a rule that can be asked for.
type offeredRule struct {
	name string
	rule v1alpha1.Rule
	// breakGlass says that it is asked for without approvals.
	breakGlass bool
}

func (o offeredRule) most() time.Duration {
	if o.breakGlass {
		return time.Duration(o.rule.Approval.BreakGlass.MaxDurationSeconds) * time.Second
	}
	return time.Duration(o.rule.Approval.MaxDurationSeconds) * time.Second
}

func (o offeredRule) String() string {
	resources := "everything"
	if len(o.rule.Resources) > 0 {
		resources = strings.Join(o.rule.Resources, ", ")
	}
	return fmt.Sprintf("%s on %s, for up to %s", strings.Join(o.rule.Actions, ", "), resources, duration.HumanDuration(o.most()))
}

// offered are the rules of scope Session of the policies in force that are about a Connection,
// or those that let somebody go ahead without approvals, as far as the caller may read them; the error says what could not be read. Whether the
// caller is one of a policy's subjects, the proxy alone knows.
func offered(ctx context.Context, c client.Client, connection *v1alpha1.Connection, breakGlass bool) ([]offeredRule, error) {
	var found []offeredRule
	add := func(kind v1alpha1.PolicyKind, policy string, mode v1alpha1.PolicyMode, rules []v1alpha1.Rule) {
		for _, rule := range rules {
			if mode == v1alpha1.PolicyEnforce && rule.Approval != nil && canAsk(rule.Approval, breakGlass) {
				found = append(found, offeredRule{ruleArgument(kind, policy, rule.Name), rule, breakGlass})
			}
		}
	}
	var policies v1alpha1.AccessPolicyList
	var clusterPolicies v1alpha1.ClusterAccessPolicyList
	err := readable("AccessPolicies", c.List(ctx, &policies, client.InNamespace(connection.Namespace)))
	for i := range policies.Items {
		if p := &policies.Items[i]; compile.Selects(p, connection) {
			add(v1alpha1.KindAccessPolicy, p.Name, p.Spec.Mode, p.Spec.Rules)
		}
	}
	err = errors.Join(err, readable("ClusterAccessPolicies", c.List(ctx, &clusterPolicies)))
	if len(clusterPolicies.Items) == 0 {
		return found, err
	}
	var namespace corev1.Namespace
	err = errors.Join(err, readable("labels of namespaces", c.Get(ctx, client.ObjectKey{Name: connection.Namespace}, &namespace)))
	for i := range clusterPolicies.Items {
		p := &clusterPolicies.Items[i]
		if compile.ClusterSelects(p, connection, map[string]map[string]string{connection.Namespace: namespace.Labels}) {
			add(v1alpha1.KindClusterAccessPolicy, p.Name, p.Spec.Mode, p.Spec.Rules)
		}
	}
	return found, err
}

func canAsk(terms *v1alpha1.ApprovalTerms, breakGlass bool) bool {
	if breakGlass {
		return terms.BreakGlass != nil
	}
	return terms.Scope == v1alpha1.ApprovalScopeSession
}

// readable says what was not read, and why.
func readable(what string, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("you may not read %s", what)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", what, err)
	}
	return nil
}

// howToName says which rules can be asked for.
func howToName(connection string, rules []offeredRule, unread error, breakGlass bool) error {
	var b strings.Builder
	what := "ask for an approval for a time"
	if breakGlass {
		what = "let somebody go ahead without approvals"
	}
	fmt.Fprintf(&b, "no rule: say with --rule what you ask for; what is refused for want of an approval names the rules")
	if len(rules) > 0 {
		fmt.Fprintf(&b, "\nRules about Connection %s that %s:", connection, what)
	} else if unread == nil {
		fmt.Fprintf(&b, "\nNo rules of policies about Connection %s %s", connection, what)
	}
	for _, rule := range rules {
		fmt.Fprintf(&b, "\n  --rule %s  (%s)", rule.name, rule)
	}
	if unread != nil {
		fmt.Fprintf(&b, "\nThere may be more: %s", strings.ReplaceAll(unread.Error(), "\n", "; "))
	}
	return errors.New(b.String())
}
