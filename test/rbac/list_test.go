// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// right is what somebody may do with one resource, or one object.
type right struct {
	who, scope string
	// resource is group/resource, without the core group's name.
	resource string
	// object is the only one; empty for all.
	object string
	verbs  []string
}

func (r right) String() string { return strings.TrimSpace(r.key() + ": " + strings.Join(r.verbs, " ")) }

// key is what a reason belongs to.
func (r right) key() string {
	object := r.object
	if object == "" {
		object = "(any)"
	}
	return fmt.Sprintf("%-14s  %-15s  %-62s  %-29s", r.who, r.scope, r.resource, object)
}

// rights asks the API server for somebody's rights in a namespace, those of the
// whole cluster among them.
func rights(t *testing.T, who identity, namespace string) []right {
	t.Helper()
	c, err := kubernetes.NewForConfig(who.config())
	must(t, err)
	review, err := c.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	must(t, err)
	if review.Status.Incomplete {
		t.Fatalf("the rights of %s are incomplete: %s", who.name, review.Status.EvaluationError)
	}
	return collect(review)
}

// collect merges the rules: one right for each resource and object.
func collect(review *authorizationv1.SelfSubjectRulesReview) []right {
	type what struct{ resource, object string }
	verbs := map[what]map[string]bool{}
	add := func(w what, all []string) {
		if verbs[w] == nil {
			verbs[w] = map[string]bool{}
		}
		for _, verb := range all {
			verbs[w][verb] = true
		}
	}
	for _, rule := range review.Status.ResourceRules {
		objects := rule.ResourceNames
		if len(objects) == 0 {
			objects = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, object := range objects {
					add(what{strings.TrimPrefix(group+"/"+resource, "/"), object}, rule.Verbs)
				}
			}
		}
	}
	for _, rule := range review.Status.NonResourceRules {
		for _, url := range rule.NonResourceURLs {
			add(what{url, ""}, rule.Verbs)
		}
	}
	all := make([]right, 0, len(verbs))
	for w, set := range verbs {
		all = append(all, right{resource: w.resource, object: w.object, verbs: slices.Sorted(maps.Keys(set))})
	}
	slices.SortFunc(all, func(a, b right) int {
		return cmp.Or(strings.Compare(a.resource, b.resource), strings.Compare(a.object, b.object))
	})
	return all
}

// header says what the list is.
const header = `Who may do what where: see test/rbac. Each right has a reason. "everywhere" is every namespace and the cluster itself.
People hold the role of their name in namespace shop-access; the manager is bound in shop-access and, with the same rights, in till-access.
`

// table lists rights, with the reasons that are known.
func table(all []right, known map[string]string) string {
	var text strings.Builder
	text.WriteString(header)
	last, here := "", map[string]bool{}
	for _, r := range all {
		if here[r.resource+r.object+strings.Join(r.verbs, " ")] && r.who == "manager" && r.scope == other {
			continue // as in the other namespace of Connections
		}
		if r.who == "manager" && r.scope == own {
			here[r.resource+r.object+strings.Join(r.verbs, " ")] = true
		}
		if section := r.who + r.scope; section != last {
			text.WriteString("\n")
			last = section
		}
		fmt.Fprintf(&text, "%s  %-47s  # %s\n", r.key(), strings.Join(r.verbs, " "), known[r.key()])
	}
	return text.String()
}

// reasons are those of a list, by the right's key.
func reasons(list string) map[string]string {
	known := map[string]string{}
	for line := range strings.Lines(list) {
		// A long name has its columns further to the right.
		who, _, _ := strings.Cut(line, " ")
		width := len(right{who: who}.key())
		if _, reason, found := strings.Cut(line, "#"); found && len(line) > width {
			known[line[:width]] = strings.TrimSpace(reason)
		}
	}
	return known
}
