// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/pgpod"
)

// helmUp installs or upgrades both charts of a work tree, the definitions first.
func (s *site) helmUp(t *testing.T, tree, version string, more ...string) {
	t.Helper()
	s.definitionsUp(t, tree)
	s.operatorUp(t, tree, version, more...)
}

func (s *site) definitionsUp(t *testing.T, tree string) {
	t.Helper()
	s.helmRun(t, "upgrade", "--install", "doorward-crds", filepath.Join(tree, "charts", "doorward-crds"), "--namespace="+system, "--create-namespace")
}

func (s *site) operatorUp(t *testing.T, tree, version string, more ...string) {
	t.Helper()
	values := append([]string{
		"--namespace=" + system, "--set=namespaces={" + namespace + "}", "--set=createNamespaces=true",
		"--set=image.repository=" + repository, "--set=image.tag=" + version, "--set=image.pullPolicy=Never",
		"--wait", "--timeout=240s",
	}, more...)
	s.helmRun(t, append([]string{"upgrade", "--install", "doorward", filepath.Join(tree, "charts", "doorward")}, values...)...)
}

// target runs PostgreSQL beside the proxies, with the shop and the load's tables.
func (s *site) target(t *testing.T) {
	t.Helper()
	var err error
	if s.postgres, err = pgpod.Start(t.Context(), s.Cluster, namespace, local, s.dir); err != nil {
		t.Fatal(err)
	}
	shop, err := os.ReadFile(filepath.Join("testdata", "shop.sql"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		s.postgres.Exec(t.Context(), "postgres", "CREATE DATABASE "+database),
		s.postgres.Exec(t.Context(), database, string(shop), load.LedgerSQL),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range roles {
		grants := fmt.Sprintf("CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s'; GRANT SELECT, INSERT ON ledger, pages TO %[1]s; GRANT shop_analyst TO %[1]s", name, s.password)
		if err := s.postgres.Exec(t.Context(), database, grants); err != nil {
			t.Fatal(err)
		}
	}
}

// samples applies config/samples of a work tree with what differs here, as an admin would, and
// more of the admin's own.
func (s *site) samples(t *testing.T, tree, more string) {
	t.Helper()
	base, err := filepath.Rel(s.overlay(t), filepath.Join(tree, "config", "samples"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "samples/kustomization.yaml", fmt.Sprintf(adapted, filepath.ToSlash(base), s.postgres.Host(), s.issuer.URL(), indent(s.issuer.ca, 10), s.password))
	s.write(t, "samples/more.yaml", fmt.Sprintf(more, indent(s.postgres.CAPEM, 4), s.postgres.Host(), s.password))
	s.apply(t, s.sink.manifest())
	s.kubectl(t, "apply", "-k", s.overlay(t))
}

// overlay is the folder of the overlay, without symbolic links.
func (s *site) overlay(t *testing.T) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(path, "samples")
}

// adapted changes the samples: where the target and the issuer are, the real
// password, the size of a volume.
const adapted = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%[1]s, more.yaml]
patches:
- patch: |
    apiVersion: doorward.dev/v1alpha1
    kind: Connection
    metadata: {name: orders-db-onprem, namespace: shop-access}
    $patch: delete
- target: {kind: Connection, name: ^orders-db$}
  patch: |
    - {op: replace, path: /spec/targets/0/host, value: %[2]s}
    - {op: replace, path: /spec/proxy/managed/spool/size, value: 1Gi}
    - {op: add, path: /spec/proxy/managed/drainSeconds, value: 5}
    - {op: add, path: /spec/isolation, value: {podSelector: {matchLabels: {app: orders-db}}}}
- target: {kind: Secret, name: ^orders-db-credential$}
  patch: |
    - {op: replace, path: /stringData/password, value: %[5]s}
    - {op: replace, path: /stringData/addresses, value: "%[2]s:5432"}
- target: {kind: IdentityProvider, name: company}
  patch: |
    - {op: replace, path: /spec/oidc/issuer/url, value: %[3]s}
    - op: add
      path: /spec/oidc/issuer/certificateAuthority
      value: |
%[4]s
`

// more is what the samples leave to the admin: the target's authority, the
// approvers' rights; and a Connection without volumes, and the load's policy.
const more = `apiVersion: v1
kind: ConfigMap
metadata: {name: orders-db-ca, namespace: shop-access}
data:
  ca.crt: |
%[1]s
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shop-leads, namespace: shop-access}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: doorward-approver}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: shop-leads}]
---
apiVersion: v1
kind: Secret
metadata: {name: orders-db-remote-credential, namespace: shop-access}
type: doorward.dev/credential
stringData: {username: doorward_remote, password: "%[3]s", connection: orders-db-remote, addresses: "%[2]s:5432"}
---
apiVersion: doorward.dev/v1alpha1
kind: Connection
metadata: {name: orders-db-remote, namespace: shop-access}
spec:
  protocol: postgres
  targets: [{host: %[2]s, port: 5432}]
  tls: {mode: VerifyFull, certificateAuthority: {type: ConfigMap, configMap: {name: orders-db-ca, key: ca.crt}}}
  credential: {type: Secret, secret: {name: orders-db-remote-credential}}
  options: {databases: [shop]}
  proxy: {placement: Managed, managed: {replicas: 2, drainSeconds: 5}}
  audit: {durability: Remote}
---
apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata: {name: load, namespace: shop-access}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: Group, name: loaders, identityProvider: company}]
  connections: [{name: orders-db}, {name: orders-db-remote}]
  rules:
  - {name: session, effect: Allow, actions: [evaluate, transaction, session, show, set], resources: ["*"]}
  - {name: work, effect: Allow, actions: [select, insert], resources: [public.ledger, public.pages]}
  limits: []
  targetRole: ""
  masks: []
`

// well says what is not well of the Connections and of the pods behind them.
func (s *site) well(ctx context.Context) error {
	for _, name := range []string{local, remote} {
		var connection v1alpha1.Connection
		if err := s.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &connection); err != nil {
			return fmt.Errorf("cannot read Connection %q: %w", name, err)
		}
		ready := meta.FindStatusCondition(connection.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != connection.Generation {
			return fmt.Errorf("connection %q is not ready: %+v", name, ready)
		}
		if err := s.reported(ctx, &connection); err != nil {
			return err
		}
	}
	return s.rolledOut(ctx)
}

// reported says which proxy of now does not run the present snapshot, or has a
// problem. One that is gone without a word stays in the status for a while.
func (s *site) reported(ctx context.Context, connection *v1alpha1.Connection) error {
	pods, err := s.pods(ctx, connection.Name)
	if err != nil {
		return err
	}
	if len(pods) != 2 {
		return fmt.Errorf("connection %q has %d proxies, want 2", connection.Name, len(pods))
	}
	reports := map[string]v1alpha1.ProxyStatus{}
	for _, report := range connection.Status.Proxies {
		reports[report.Instance] = report
	}
	for i := range pods {
		report, found := reports[pods[i].Name]
		if !found || report.Message != "" || report.Revision != connection.Status.Snapshot.Revision {
			return fmt.Errorf("connection %q: proxy %q has reported: %t, revision %d, %s", connection.Name, pods[i].Name, found, report.Revision, report.Message)
		}
	}
	return nil
}

// rolledOut says which workload of ours is not fully there.
func (s *site) rolledOut(ctx context.Context) error {
	var set appsv1.StatefulSet
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "doorward-" + local}, &set); err != nil {
		return err
	}
	if st := set.Status; st.ObservedGeneration != set.Generation || st.ReadyReplicas != *set.Spec.Replicas || st.UpdatedReplicas != *set.Spec.Replicas || st.CurrentRevision != st.UpdateRevision {
		return fmt.Errorf("statefulset %q: %d of %d ready, %d up to date", set.Name, st.ReadyReplicas, *set.Spec.Replicas, st.UpdatedReplicas)
	}
	for _, key := range []client.ObjectKey{{Namespace: namespace, Name: "doorward-" + remote}, {Namespace: system, Name: "doorward-manager"}} {
		var deployment appsv1.Deployment
		if err := s.admin.Get(ctx, key, &deployment); err != nil {
			return err
		}
		want := *deployment.Spec.Replicas
		if st := deployment.Status; st.ObservedGeneration != deployment.Generation || st.ReadyReplicas != want || st.UpdatedReplicas != want || st.Replicas != want {
			return fmt.Errorf("deployment %q: %d of %d ready, %d up to date, %d in all", key.Name, st.ReadyReplicas, want, st.UpdatedReplicas, st.Replicas)
		}
	}
	return nil
}

// proxies are the proxies' pods of a Connection.
func (s *site) proxies(t *testing.T, connection string) []corev1.Pod {
	t.Helper()
	pods, err := s.pods(t.Context(), connection)
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func (s *site) pods(ctx context.Context, connection string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := s.admin.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"doorward.dev/connection": connection, "app.kubernetes.io/component": "proxy"})
	return pods.Items, err
}
