// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// story is what people do on the first day, with psql and kubectl.
func (s *site) story(t *testing.T) {
	alice, err := s.issuer.token("alice", "analysts")
	if err != nil {
		t.Fatal(err)
	}
	s.workplace(t)
	t.Run("FromAPod", func(t *testing.T) { s.fromAPod(t, alice) })
	port := s.outside(t, local)
	t.Run("FromOutside", func(t *testing.T) {
		if err := <-s.fromOutside(t, local, port, alice, "SELECT card FROM customers WHERE id = 1"); err != nil {
			t.Fatalf("psql: %v: %s", err, s.said(t))
		}
		if got := strings.TrimSpace(s.said(t)); !strings.HasSuffix(got, "1001") || strings.Contains(got, "4111") {
			t.Errorf("psql shows %q, want a card of which four digits are left", got)
		}
	})
	t.Run("Approval", func(t *testing.T) { s.approval(t, port, alice) })
	t.Run("ClusterPolicy", s.clusterPolicy)
	t.Run("Records", s.records)
	t.Run("Shadow", s.shadow)
	t.Run("AuditSessions", s.auditSessions)
	t.Run("Isolation", s.isolation)
	t.Run("Tour", s.tour)
	t.Run("Canary", s.canary)
}

// fromAPod: what is allowed comes, masked; what is not is refused with the reason.
func (s *site) fromAPod(t *testing.T, token string) {
	t.Helper()
	// What is ready is reached a moment later, when kube-proxy has heard of it.
	for _, connection := range []string{local, remote} {
		await(t, "the Service of "+connection, func(context.Context) error {
			if out, _ := s.inPod(t, connection, "nonsense", "SELECT 1"); strings.Contains(out, "Connection refused") {
				return errors.New(out)
			}
			return nil
		})
	}
	for name, tc := range map[string]struct {
		reason, connection, token, statement string
		fails                                bool
		want                                 []string
		not                                  string
	}{
		"Masked":    {reason: "an e-mail address is masked as a whole, a card but for four digits", connection: local, token: token, statement: "SELECT name, email, card FROM customers WHERE id = 1", want: []string{"Customer 1|", "1001"}, not: "customer1@"},
		"Denied":    {reason: "no rule allows the payroll", connection: local, token: token, statement: "SELECT salary FROM payroll", fails: true, want: []string{"payroll", "kubectl -n " + namespace}, not: "250000"},
		"Unbounded": {reason: "a statement without WHERE is denied by a rule, in its words", connection: local, token: token, statement: "UPDATE orders SET status = 'paid'", fails: true, want: []string{"add a WHERE clause"}},
		"NoToken":   {reason: "who has no token gets no further", connection: local, token: "nonsense", statement: "SELECT 1", fails: true, want: []string{"FATAL"}},
		"NoPolicy":  {reason: "alice is named by no policy of the other Connection", connection: remote, token: token, statement: "SELECT 1", fails: true, want: []string{"FATAL", "AccessPolicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := s.inPod(t, tc.connection, tc.token, tc.statement)
			if (err != nil) != tc.fails {
				t.Errorf("%s: psql ended with %v", tc.reason, err)
			}
			has(t, tc.reason+": psql's output", out, tc.want...)
			if tc.not != "" && strings.Contains(out, tc.not) {
				t.Errorf("%s: psql shows %q:\n%s", tc.reason, tc.not, out)
			}
		})
	}
}

var patchCommand = regexp.MustCompile(`kubectl -n \S+ patch approvalrequest .*`)

// approval: psql holds, and shows the line by which somebody else approves.
func (s *site) approval(t *testing.T, port, token string) {
	t.Helper()
	done := s.fromOutside(t, local, port, token, "UPDATE orders SET status = 'checked' WHERE id = 7")
	var line string
	await(t, "the notice of the approval", func(context.Context) error {
		select {
		case err := <-done:
			t.Fatalf("psql ended: %v: %s", err, s.said(t))
		default:
		}
		if line = patchCommand.FindString(s.said(t)); line == "" {
			return fmt.Errorf("psql says: %s", s.said(t))
		}
		return nil
	})
	if out, err := s.shell(t.Context(), s.person(t, "alice", "analysts", "shop-leads"), line); err == nil || !strings.Contains(out, "must differ") {
		t.Errorf("alice approves her own statement: %v: %s", err, out)
	}
	if out, err := s.shell(t.Context(), s.person(t, "bob", "shop-leads"), line); err != nil {
		t.Fatalf("bob cannot approve with %q: %v: %s", line, err, out)
	}
	if err := <-done; err != nil {
		t.Fatalf("psql: %v: %s", err, s.said(t))
	}
	has(t, "psql's output", s.said(t), "UPDATE 1")
	rows, err := s.postgres.Query(t.Context(), database, "SELECT status FROM orders WHERE id = 7")
	if err != nil || len(rows) != 1 || rows[0] != "checked" {
		t.Errorf("the order is %q, %v", rows, err)
	}
}

// records: what has happened so far is in the sink, and verifies against the
// witness; alice and bob are named.
func (s *site) records(t *testing.T) {
	s.verified(t)
	var shown string
	await(t, "alice's session in the sink", func(ctx context.Context) (err error) {
		if shown, err = s.shell(ctx, s.Kubeconfig(), "kubectl doorward audit show --actor alice -o json "+s.sink.dir); err != nil {
			return fmt.Errorf("%w: %s", err, shown)
		}
		for _, want := range []string{`"public.payroll"`, "add a WHERE clause", `"company:bob"`, `"maskedFields"`, "UPDATE orders SET status = 'checked'", "SessionEnd"} {
			if !strings.Contains(shown, want) {
				return fmt.Errorf("no record of alice's has %q", want)
			}
		}
		return nil
	})
}

// verified has the plugin verify what the sink has received, against the witness.
func (s *site) verified(t *testing.T) {
	t.Helper()
	var out string
	await(t, "a log that verifies", func(ctx context.Context) (err error) {
		if out, err = s.shell(ctx, s.Kubeconfig(), "kubectl doorward audit verify --witness -n "+namespace+" "+s.sink.dir); err != nil {
			return fmt.Errorf("kubectl doorward audit verify: %w: %s", err, out)
		}
		return nil
	})
	progress("  verified: %s", strings.TrimSpace(out[strings.LastIndexByte(strings.TrimSpace(out), '\n')+1:]))
}

// auditSessions: the sessions of the story have ended, and say whose they were.
func (s *site) auditSessions(t *testing.T) {
	await(t, "alice's AuditSessions", func(ctx context.Context) error {
		var list v1alpha1.AuditSessionList
		if err := s.admin.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		ended := 0
		for i := range list.Items {
			session := &list.Items[i]
			if session.Spec.Actor.Username == "alice" && session.Spec.ConnectionRef.Name == local && session.Status.Phase == v1alpha1.SessionEnded {
				ended++
			}
		}
		// Masked, Denied, Unbounded from the pod; two from outside.
		if ended < 5 {
			return fmt.Errorf("%d of at least 5 sessions are shown as ended", ended)
		}
		return nil
	})
	has(t, "kubectl get auditsessions", s.kubectl(t, "-n", namespace, "get", "auditsessions"), local, "alice", "Ended")
}

// isolation: the NetworkPolicy names the proxies alone. The node's network does
// not enforce it, so that the probe finds the direct way open and says so.
func (s *site) isolation(t *testing.T) {
	var policy networkingv1.NetworkPolicy
	if err := s.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "doorward-" + local}, &policy); err != nil {
		t.Fatal(err)
	}
	if got := policy.Spec.PodSelector.MatchLabels["app"]; got != local || len(policy.Spec.Ingress) != 1 || len(policy.Spec.Ingress[0].From) != 1 {
		t.Errorf("the NetworkPolicy selects app=%q and lets in %+v", got, policy.Spec.Ingress)
	}
	await(t, "condition Isolated", func(ctx context.Context) error {
		var connection v1alpha1.Connection
		if err := s.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: local}, &connection); err != nil {
			return err
		}
		isolated := meta.FindStatusCondition(connection.Status.Conditions, v1alpha1.ConditionIsolated)
		if isolated == nil {
			return errors.New("there is none")
		}
		if isolated.Status != metav1.ConditionFalse || isolated.Reason != v1alpha1.ReasonDirectWayOpen {
			return fmt.Errorf("it is %s, %s, want False, %s: %s", isolated.Status, isolated.Reason, v1alpha1.ReasonDirectWayOpen, isolated.Message)
		}
		return nil
	})
}

// canary: the target's password is where the admin put it, and nowhere else.
func (s *site) canary(t *testing.T) {
	for _, line := range []string{
		"kubectl get connections,auditsessions,auditlogs,approvalrequests,events,configmaps,pods,deployments,statefulsets -A -o yaml",
		"for pod in $(kubectl -n " + namespace + " get pods -l app.kubernetes.io/component=proxy -oname); do kubectl -n " + namespace + " logs $pod; done",
		"kubectl -n " + system + " logs -l app.kubernetes.io/component=manager --tail=-1",
		"cat " + s.sink.records,
	} {
		out, err := s.shell(t.Context(), s.Kubeconfig(), line)
		if err != nil {
			t.Errorf("%s: %v: %.2000s", line, err, out)
		}
		if strings.Contains(out, s.password) {
			t.Errorf("the target's password is in the output of %q", line)
		}
	}
}
