// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// ours says whether a name is one that the manager gives.
func ours(name string) bool { return strings.HasPrefix(name, "doorward-") }

// world is what a right by name is held against: the credentials' Secrets of Connections,
// by namespace and name of the Connection.
type world map[string]map[string]string

// secret says whether a Secret holds a credential, or is of the manager's making.
func (w *world) secret(namespace, name string) bool {
	if ours(name) {
		return true
	}
	for within, connections := range *w {
		if namespace != "" && namespace != within {
			continue
		}
		for _, credential := range connections {
			if credential == name {
				return true
			}
		}
	}
	return false
}

// proxys says whether names are of what the manager lets the proxy of a Connection have:
// its own, and the Secret of its credential.
func (w *world) proxys(d *danger, s rbacv1.Subject, namespace string, names []string) bool {
	if s.Kind != rbacv1.ServiceAccountKind || s.Namespace != "" && s.Namespace != namespace || namespace == "" {
		return false
	}
	connection, is := strings.CutPrefix(s.Name, "doorward-")
	credential, there := (*w)[namespace][connection]
	return is && there && !slices.ContainsFunc(names, func(name string) bool {
		return (!d.ofConnections || name != connection) && name != credential && name != s.Name && !strings.HasPrefix(name, s.Name+"-")
	})
}

// maxNamed bounds the subjects that a line names.
const maxNamed = 8

// lookAtRights asks what the manager may do, and who else may do what only few should.
func lookAtRights(ctx context.Context, e *examiner) {
	connections, ok := e.connections(ctx)
	if !ok {
		return
	}
	e.managerRights(ctx, connections)
	held, ok := e.rights(ctx)
	if !ok {
		return
	}
	quiet := true
	for _, d := range dangers {
		who := map[string]bool{}
		for _, right := range held {
			covered, names := right.covers(&d, connections, e.namespace)
			if !covered {
				continue
			}
			for _, subject := range right.subjects {
				if len(names) > 0 && connections.proxys(&d, subject, right.namespace, names) {
					continue
				}
				if name := e.unexpected(subject, right.namespace); name != "" {
					who[name] = true
				}
			}
		}
		if len(who) > 0 {
			quiet = false
			e.warn(d.remedy, "%s may %s", named(who), d.what)
		}
	}
	if quiet {
		e.ok("of the rights that are looked at, none that undoes approvals or shows credentials is anybody's but the cluster's own parts' and admins'")
	}
}

// connections are all, with the Secrets of their credentials.
func (e *examiner) connections(ctx context.Context) (world, bool) {
	var all v1alpha1.ConnectionList
	if !e.list(ctx, &all, "connections."+v1alpha1.GroupName) {
		return nil, false
	}
	found := world{}
	for i := range all.Items {
		c := &all.Items[i]
		if found[c.Namespace] == nil {
			found[c.Namespace] = map[string]string{}
		}
		credential := ""
		if c.Spec.Credential.Secret != nil {
			credential = c.Spec.Credential.Secret.Name
		}
		found[c.Namespace][c.Name] = credential
	}
	return found, true
}

// managerRights asks the API server for some of the rights that the manager needs, one of
// each of its roles, and for one that it must not have.
func (e *examiner) managerRights(ctx context.Context, namespaces world) {
	type asked struct {
		authorizationv1.ResourceAttributes
		role string
	}
	questions := []asked{
		{authorizationv1.ResourceAttributes{Verb: "patch", Group: v1alpha1.GroupName, Resource: "connections", Subresource: "status"}, "the ClusterRole doorward-manager"},
		{authorizationv1.ResourceAttributes{Verb: "list", Group: admissionGroup, Resource: "validatingadmissionpolicies"}, "the ClusterRole doorward-manager"},
		{authorizationv1.ResourceAttributes{Verb: "create", Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}, "the ClusterRole doorward-manager"},
		{authorizationv1.ResourceAttributes{Verb: "update", Resource: "secrets", Name: "doorward-ca", Namespace: e.namespace}, "the Role doorward-manager in " + e.namespace},
		{authorizationv1.ResourceAttributes{Verb: "update", Resource: "secrets", Name: "doorward-ssh-host-ca", Namespace: e.namespace}, "the Role doorward-manager in " + e.namespace},
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		questions = append(questions, asked{
			authorizationv1.ResourceAttributes{Verb: "patch", Group: v1alpha1.GroupName, Resource: "approvalrequests", Subresource: "status", Namespace: namespace},
			"the ClusterRole doorward-namespace by a RoleBinding in " + namespace,
		})
	}
	lacking := 0
	for i := range questions {
		allowed, ok := e.managerMay(ctx, &questions[i].ResourceAttributes)
		if !ok {
			return
		}
		if !allowed {
			lacking++
			e.fail("give it "+questions[i].role+": install the chart again", "the manager may not %s", attributes(&questions[i].ResourceAttributes))
		}
	}
	tooMuch, ok := e.managerMay(ctx, &authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets"})
	if !ok {
		return
	}
	if tooMuch {
		e.warn("bind doorward-namespace by RoleBindings in the namespaces of Connections, never by a ClusterRoleBinding", "the manager may read the Secrets of all namespaces")
	}
	if lacking == 0 && !tooMuch {
		e.ok("the manager has the rights that it needs, and no right to all Secrets")
	}
}

func attributes(a *authorizationv1.ResourceAttributes) string {
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	if a.Group != "" {
		resource += "." + a.Group
	}
	if a.Namespace != "" {
		return fmt.Sprintf("%s %s in namespace %s", a.Verb, resource, a.Namespace)
	}
	return a.Verb + " " + resource
}

func (e *examiner) managerMay(ctx context.Context, attributes *authorizationv1.ResourceAttributes) (allowed, ok bool) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + e.namespace + ":" + managerAccount,
		Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + e.namespace, "system:authenticated"},
		ResourceAttributes: attributes,
	}}
	if err := e.reader.Create(ctx, review); err != nil {
		e.unread(err, "create", "subjectaccessreviews.authorization.k8s.io")
		return false, false
	}
	return review.Status.Allowed, true
}

// right is what subjects may do, in a namespace, or everywhere where that is empty.
type right struct {
	namespace string
	rules     []rbacv1.PolicyRule
	subjects  []rbacv1.Subject
}

// rights are all that RBAC gives. Other authorizers are not seen.
func (e *examiner) rights(ctx context.Context) ([]right, bool) {
	const group = ".rbac.authorization.k8s.io"
	var clusterRoles rbacv1.ClusterRoleList
	var roles rbacv1.RoleList
	var clusterBindings rbacv1.ClusterRoleBindingList
	var bindings rbacv1.RoleBindingList
	if !e.list(ctx, &clusterRoles, "clusterroles"+group) || !e.list(ctx, &roles, "roles"+group) ||
		!e.list(ctx, &clusterBindings, "clusterrolebindings"+group) || !e.list(ctx, &bindings, "rolebindings"+group) {
		return nil, false
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for i := range clusterRoles.Items {
		rules["/"+clusterRoles.Items[i].Name] = clusterRoles.Items[i].Rules
	}
	for i := range roles.Items {
		rules[roles.Items[i].Namespace+"/"+roles.Items[i].Name] = roles.Items[i].Rules
	}
	var all []right
	for i := range clusterBindings.Items {
		b := &clusterBindings.Items[i]
		all = append(all, right{rules: rules["/"+b.RoleRef.Name], subjects: b.Subjects})
	}
	for i := range bindings.Items {
		b := &bindings.Items[i]
		role := "/" + b.RoleRef.Name
		if b.RoleRef.Kind == "Role" {
			role = b.Namespace + role
		}
		all = append(all, right{namespace: b.Namespace, rules: rules[role], subjects: b.Subjects})
	}
	return all, true
}

// covers says whether a right holds a danger, where that counts; with names where it does
// for the objects of these names only.
func (r *right) covers(d *danger, w world, operatorNamespace string) (covered bool, names []string) {
	switch {
	case r.namespace == "":
	case d.within&withConnections != 0 && w[r.namespace] != nil, d.within&operator != 0 && r.namespace == operatorNamespace:
	default:
		return false, nil
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if len(rule.ResourceNames) == 0 && d.given(rule, d.verbs) {
			return true, nil
		}
		// Nobody creates, or deletes a collection of, what has a certain name; what is
		// below an object, such as a token, is created of one that is there.
		if !d.given(rule, slices.DeleteFunc(slices.Clone(d.verbs), func(verb string) bool { return verb == "deletecollection" })) {
			continue
		}
		for _, name := range rule.ResourceNames {
			if d.concerns == nil || d.concerns(&w, r.namespace, name) {
				names = append(names, name)
			}
		}
	}
	return len(names) > 0, names
}

// given says whether a rule gives one of the verbs on one of the resources. With names, a
// rule gives create below an object only.
func (d *danger) given(rule *rbacv1.PolicyRule, verbs []string) bool {
	return slices.ContainsFunc(d.to, func(o objects) bool {
		return has(rule.APIGroups, o.group) && slices.ContainsFunc(o.resources, func(resource string) bool {
			_, sub, isSub := strings.Cut(resource, "/")
			named := has(rule.Resources, resource) || isSub && slices.Contains(rule.Resources, "*/"+sub)
			return named && slices.ContainsFunc(verbs, func(verb string) bool {
				return has(rule.Verbs, verb) && (len(rule.ResourceNames) == 0 || verb != "create" || isSub)
			})
		})
	})
}

func has(given []string, wanted ...string) bool {
	return slices.Contains(given, "*") || slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(given, w) })
}

// unexpected is the name of a subject that is neither the cluster's own, nor the
// manager; empty where it is.
func (e *examiner) unexpected(s rbacv1.Subject, namespace string) string {
	if s.Kind == rbacv1.ServiceAccountKind {
		if s.Namespace == "" {
			s.Namespace = namespace
		}
		if s.Namespace == "kube-system" || s.Namespace == e.namespace && s.Name == managerAccount {
			return ""
		}
		return "ServiceAccount " + s.Namespace + "/" + s.Name
	}
	// Whoever has any of these groups is everybody.
	everybody := s.Name == "system:authenticated" || s.Name == "system:unauthenticated" || strings.HasPrefix(s.Name, "system:serviceaccounts")
	if strings.HasPrefix(s.Name, "system:") && !everybody && !strings.HasPrefix(s.Name, "system:serviceaccount:") {
		return ""
	}
	return s.Kind + " " + s.Name
}

func named(who map[string]bool) string {
	all := slices.Sorted(maps.Keys(who))
	if len(all) <= maxNamed {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:maxNamed], ", "), len(all)-maxNamed)
}
