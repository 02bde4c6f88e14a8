// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// verbs are those that matter for any resource; others are asked for where
// Kubernetes, or we, look at them.
var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

var special = map[string][]string{
	"rbac.authorization.k8s.io/roles":        {"bind", "escalate"},
	"rbac.authorization.k8s.io/clusterroles": {"bind", "escalate"},
	"users":                                  {"impersonate"},
	"groups":                                 {"impersonate"},
	"serviceaccounts":                        {"impersonate"},
	"doorward.dev/connections":               {"serve", "approve", "terminate"},
	"certificates.k8s.io/signers":            {"approve", "sign", "attest"},
}

// asked asks the authorizer about every resource that the API server serves, every
// verb and every namespace, and wants the answers that the list gives: whatever
// way a right comes in, it is in the list.
func asked(t *testing.T, admin client.Client, all []right, common map[string]bool) {
	t.Helper()
	listed := map[string]bool{}
	for _, r := range all {
		for _, verb := range r.verbs {
			if r.object == "" {
				listed[strings.Join([]string{r.who, r.scope, r.resource, verb}, "|")] = true
			}
		}
	}
	anybody := map[string]bool{}
	for text := range common {
		resource, list, _ := strings.Cut(strings.TrimSpace(text), ":")
		resource = strings.Fields(resource)[0]
		for _, verb := range strings.Fields(list) {
			anybody[resource+"|"+verb] = true
		}
	}
	who := identities
	if os.Getenv("DOORWARD_LONG") != "1" {
		// The others hold nothing beside a RoleBinding: 50,000 questions take minutes.
		who = []identity{identities[0], identities[2]}
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	var mu sync.Mutex
	count := 0
	for _, resource := range resources(t) {
		for _, verb := range append(slices.Clone(verbs), special[resource]...) {
			if anybody[resource+"|"+verb] {
				continue
			}
			for _, who := range who {
				for _, scope := range append([]string{""}, namespaces...) {
					group.Go(func() error {
						allowed, err := ask(ctx, admin, who, scope, resource, verb)
						if err != nil {
							return err
						}
						want := listed[strings.Join([]string{who.name, "everywhere", resource, verb}, "|")] ||
							listed[strings.Join([]string{who.name, scope, resource, verb}, "|")]
						mu.Lock()
						defer mu.Unlock()
						count++
						if allowed != want {
							t.Errorf("%s, %s %s in namespace %q: the authorizer says %t, the list %t", who.name, verb, resource, scope, allowed, want)
						}
						return nil
					})
				}
			}
		}
	}
	must(t, group.Wait())
	t.Logf("%d questions", count)
}

func ask(ctx context.Context, admin client.Client, who identity, namespace, resource, verb string) (bool, error) {
	attributes := &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: resource}
	if g, r, found := strings.Cut(resource, "/"); found && strings.Contains(g, ".") || found && slices.Contains([]string{"apps", "batch", "policy", "autoscaling"}, g) {
		attributes.Group, attributes.Resource = g, r
	}
	attributes.Resource, attributes.Subresource, _ = strings.Cut(attributes.Resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.user, Groups: who.groups, ResourceAttributes: attributes,
	}}
	err := admin.Create(ctx, review)
	return review.Status.Allowed, err
}

// resources are all that the API server serves, and what exists for the
// authorizer alone.
func resources(t *testing.T) []string {
	t.Helper()
	c, err := discovery.NewDiscoveryClientForConfig(env.Direct)
	must(t, err)
	_, lists, err := c.ServerGroupsAndResources()
	must(t, err)
	all := map[string]bool{"users": true, "groups": true, "certificates.k8s.io/signers": true}
	for _, list := range lists {
		group, _, found := strings.Cut(list.GroupVersion, "/")
		if !found {
			group = ""
		}
		for i := range list.APIResources {
			all[strings.TrimPrefix(group+"/"+list.APIResources[i].Name, "/")] = true
		}
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
