// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// atOnce is how many clients create objects.
const atOnce = 16

// each does something for 0 to n-1, some at once.
func (l *lab) each(n int, do func(ctx context.Context, i int) error) {
	group, ctx := errgroup.WithContext(l.Context())
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	must(l.T, group.Wait())
}

// of is the namespace and name of the n-th Connection.
func (l *lab) of(i int) (in, name string) {
	return namespace(i % l.namespaces), fmt.Sprintf("db-%d", i)
}

func (l *lab) createConnections() {
	l.each(l.connections, func(ctx context.Context, i int) error {
		in, name := l.of(i)
		if err := l.admin.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: name + "-credential"}, Type: v1alpha1.SecretTypeCredential,
			StringData: map[string]string{"username": "u", "password": "p", "connection": name, "addresses": "db.example.org:5432"},
		}); err != nil {
			return err
		}
		return l.admin.Create(ctx, &v1alpha1.Connection{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: name},
			Spec: v1alpha1.ConnectionSpec{
				Protocol: "postgres", Targets: []v1alpha1.Target{{Host: "db.example.org", Port: 5432}},
				Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialSecret, Secret: &v1alpha1.SecretReference{Name: name + "-credential"}},
				Options:    &runtime.RawExtension{Raw: []byte(`{"databases":["app"]}`)},
				Proxy:      v1alpha1.Proxy{Placement: v1alpha1.PlacementExternal, External: &v1alpha1.ExternalProxy{ServerNames: []string{"localhost"}}},
			},
		})
	})
	l.published(map[types.NamespacedName]int64{}, "")
}

// revisions are those of all snapshots of a namespace, or of all.
func (l *lab) revisions(ctx context.Context, in string) (map[types.NamespacedName]int64, error) {
	var all v1alpha1.ConnectionList
	if err := l.admin.List(ctx, &all, client.InNamespace(in)); err != nil {
		return nil, err
	}
	revisions := map[types.NamespacedName]int64{}
	for i := range all.Items {
		if s := all.Items[i].Status.Snapshot; s != nil {
			revisions[client.ObjectKeyFromObject(&all.Items[i])] = s.Revision
		}
	}
	return revisions, nil
}

// published waits until every snapshot of a namespace, or of all, is above the
// revision it had.
func (l *lab) published(before map[types.NamespacedName]int64, in string) {
	want := l.connections
	if in != "" {
		want = len(before)
	}
	l.await("the snapshots", func(ctx context.Context) error {
		now, err := l.revisions(ctx, in)
		if err != nil {
			return err
		}
		done := 0
		for key, revision := range now {
			if revision > before[key] {
				done++
			}
		}
		if done < want {
			return fmt.Errorf("%d of %d snapshots are published", done, want)
		}
		return nil
	})
}

func (l *lab) changeAll() {
	before, err := l.revisions(l.Context(), "")
	must(l.T, err)
	provider := company()
	must(l.T, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := l.admin.Get(l.Context(), client.ObjectKeyFromObject(provider), provider); err != nil {
			return err
		}
		provider.Spec.OIDC.Issuer.Audiences = append(provider.Spec.OIDC.Issuer.Audiences, "more")
		return l.admin.Update(l.Context(), provider)
	}))
	l.published(before, "")
}

func (l *lab) changeOne() {
	before, err := l.revisions(l.Context(), l.policy.Namespace)
	must(l.T, err)
	must(l.T, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := l.admin.Get(l.Context(), client.ObjectKeyFromObject(l.policy), l.policy); err != nil {
			return err
		}
		l.policy.Spec.Rules[0].Message += "."
		return l.admin.Update(l.Context(), l.policy)
	}))
	l.published(before, l.policy.Namespace)
}

// restart ends the manager, and waits until it vouches for every snapshot.
func (l *lab) restart() {
	must(l.T, l.manager.Stop())
	before, err := l.heartbeats(l.Context())
	must(l.T, err)
	l.run()
	l.cpu = 0
	l.await("the heartbeats", func(ctx context.Context) error {
		now, err := l.heartbeats(ctx)
		if err != nil {
			return err
		}
		for name, beat := range before {
			if bytes.Equal(beat, now[name]) {
				return fmt.Errorf("no new heartbeat of %q", name)
			}
		}
		return nil
	})
}

func (l *lab) heartbeats(ctx context.Context) (map[types.NamespacedName][]byte, error) {
	var all corev1.SecretList
	if err := l.admin.List(ctx, &all, client.MatchingFields{"type": v1alpha1.SecretTypeSnapshot}); err != nil {
		return nil, err
	}
	beats := map[types.NamespacedName][]byte{}
	for i := range all.Items {
		beats[client.ObjectKeyFromObject(&all.Items[i])] = all.Items[i].Data["heartbeat"]
	}
	if len(beats) < l.connections {
		return nil, fmt.Errorf("%d of %d snapshots exist", len(beats), l.connections)
	}
	return beats, nil
}

func (l *lab) createSessions() {
	now := metav1.Now()
	l.each(l.sessions, func(ctx context.Context, i int) error {
		in, name := l.of(i % l.connections)
		session := &v1alpha1.AuditSession{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: fmt.Sprintf("%s-%d", name, i), Labels: map[string]string{"doorward.dev/connection": name}},
			Spec: v1alpha1.AuditSessionSpec{
				ConnectionRef: v1alpha1.ConnectionReference{Name: name}, ClientAddress: "192.0.2.1:5000", ProxyInstance: name + "-1", StartedAt: now,
				Actor: v1alpha1.Actor{
					Issuer: "https://login.example.org", Subject: "carol", Username: "carol", Kind: v1alpha1.ActorHuman, IdentityProvider: "company", AuthenticationMethod: "oidc",
				},
			},
		}
		if err := l.admin.Create(ctx, session); err != nil {
			return err
		}
		return l.admin.Status().Patch(ctx, session, client.RawPatch(types.MergePatchType, []byte(`{"status":{"phase":"Ended","endedAt":"`+now.UTC().Format(time.RFC3339)+`"}}`)))
	})
}

func (l *lab) createRequests() {
	policies := map[string]*v1alpha1.AccessPolicy{}
	uids := make([]types.UID, l.connections)
	for i := range l.connections {
		in, name := l.of(i)
		var c v1alpha1.Connection
		must(l.T, l.admin.Get(l.Context(), client.ObjectKey{Namespace: in, Name: name}, &c))
		uids[i] = c.UID
		if policies[in] == nil {
			policies[in] = readers(in)
			must(l.T, l.admin.Get(l.Context(), client.ObjectKeyFromObject(policies[in]), policies[in]))
		}
	}
	l.pending = make([]*v1alpha1.ApprovalRequest, l.requests)
	l.each(l.requests, func(ctx context.Context, i int) error {
		in, name := l.of(i % l.connections)
		policy := policies[in]
		l.pending[i] = &v1alpha1.ApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, GenerateName: name + "-"},
			Spec: v1alpha1.ApprovalRequestSpec{
				ConnectionRef: v1alpha1.ConnectionReference{Name: name}, Scope: v1alpha1.ApprovalScopeOperation,
				Requester: v1alpha1.Requester{Issuer: "https://login.example.org", Subject: "1", Username: "carol", Groups: []string{"analysts"}},
				Operation: v1alpha1.HeldOperation{
					Digest: fmt.Sprintf("sha256:%064x", i), Statement: "UPDATE t SET a = 1 WHERE id = 7", Truncation: v1alpha1.TruncationNone,
					Accesses: []v1alpha1.Access{{Action: "update", Resource: "public.t"}},
				},
				Holder: v1alpha1.Holder{ProxyInstance: name + "-1", Session: "s", Nonce: strings.Repeat("0", 64)},
				Binding: v1alpha1.Binding{
					ConnectionUID: string(uids[i%l.connections]), ConnectionGeneration: 1,
					Policies: []v1alpha1.BoundRule{{Name: policy.Name, UID: string(policy.UID), Generation: policy.Generation, Rule: "change"}},
				},
				Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, MinimumApprovals: 1,
				ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)), Decisions: []v1alpha1.Decision{},
			},
		}
		return l.admin.Create(ctx, l.pending[i])
	})
}

// decideRequests approves all, as a person of group dba.
func (l *lab) decideRequests() {
	for i := range l.namespaces {
		must(l.T, l.admin.Create(l.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: "dba"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-approver"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "dba"}},
		}))
	}
	config, err := l.env.AddUser("dana", "dba")
	must(l.T, err)
	dana, err := client.New(config, client.Options{Scheme: l.admin.Scheme()})
	must(l.T, err)
	l.await("the approver's rights", func(ctx context.Context) error {
		return dana.List(ctx, &v1alpha1.ApprovalRequestList{}, client.InNamespace(namespace(l.namespaces-1)))
	})
	l.each(l.requests, func(ctx context.Context, i int) error {
		patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/decisions/-", "value": v1alpha1.Decision{
			Verdict: v1alpha1.VerdictApprove, OperationDigest: l.pending[i].Spec.Operation.Digest,
		}}})
		if err != nil {
			return err
		}
		return dana.Patch(ctx, l.pending[i].DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
	})
	l.await("the verdicts", func(ctx context.Context) error {
		var all v1alpha1.ApprovalRequestList
		if err := l.admin.List(ctx, &all); err != nil {
			return err
		}
		phases := map[v1alpha1.ApprovalPhase]int{}
		for i := range all.Items {
			phases[all.Items[i].Status.Phase]++
		}
		if phases[v1alpha1.ApprovalApproved] < l.requests {
			return fmt.Errorf("phases: %v", phases)
		}
		return nil
	})
}

// readers is each namespace's policy.
func readers(in string) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "readers"},
		Spec: v1alpha1.AccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{},
			Subjects:    []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "analysts", IdentityProvider: "company"}},
			Connections: []v1alpha1.ConnectionSelector{{Name: "*"}},
			Rules: []v1alpha1.Rule{
				{Name: "read", Effect: v1alpha1.EffectAllow, Actions: []string{"select"}, Resources: []string{"public.*"}, Message: "reading"},
				{Name: "change", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.*"}, Approval: &v1alpha1.ApprovalTerms{
					Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, Minimum: 1, TimeoutSeconds: 3600,
				}},
			},
			Masks: []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}

func company() *v1alpha1.IdentityProvider {
	return &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Name: "company"}, Spec: v1alpha1.IdentityProviderSpec{
		Type: v1alpha1.IdentityProviderOIDC, OIDC: &v1alpha1.OIDCProvider{
			Issuer:               v1alpha1.OIDCIssuer{URL: "https://login.example.org", Audiences: []string{"doorward"}},
			ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "preferred_username", Prefix: new("")}},
			ClaimValidationRules: []v1alpha1.ClaimValidationRule{},
			UserValidationRules:  []v1alpha1.UserValidationRule{},
		},
		KubernetesUsername: &v1alpha1.KubernetesUsernameMapping{Prefix: ""},
	}}
}
