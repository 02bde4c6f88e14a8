// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
	"github.com/doorward/doorward/test/testenv"
)

var (
	ruth  = issuer.Request{User: "ruth"}
	alice = issuer.Request{User: "alice", Groups: []string{"analysts"}}
)

// TestElsewhere loses a cluster for good, restores its files into another one in
// the order of docs/operations/backup.md, and has its proxy go on there.
func TestElsewhere(t *testing.T) {
	lost := startLost(t)
	shop := lost.Proxy()
	a := newAdmin(t, lost.Control)
	a.set("records=" + lost.Records())
	masked := stacktest.Login(t, lost, shop, ruth).Must(t, emailOfOne)
	live := stacktest.Login(t, lost, shop, alice)
	live.Must(t, "SELECT 1")
	var before *v1alpha1.AuditLog
	await(t, "the log at the former witness", func(ctx context.Context) (err error) {
		if before, err = lost.AuditLog(ctx, shop.Instance); err == nil && before.Status.Size == 0 {
			err = fmt.Errorf("the witness holds nothing of log %s", before.Name)
		}
		return err
	})
	a.follows(t, sectionBackup, backupFiles)
	kept := objectsOf(t, lost.Admin)
	former, err := lost.ShopConnection(t.Context())
	must(t, err)

	must(t, lost.KillManager())
	must(t, lost.Control.Stop())
	live.Must(t, "SELECT 2") // for maxStalenessSeconds

	other := testenv.StartT(t, testenv.Options{ControllerManager: true})
	b := a.at(other)
	must(t, os.Symlink(filepath.Join(testenv.Root(), "config"), a.path("config")))
	b.follows(t, sectionElsewhere, restoreKeys)
	b.follows(t, sectionElsewhere, installElsewhere)
	b.follows(t, sectionElsewhere, restoreNamespace)
	admin, err := stack.NewClient(other.Direct)
	must(t, err)
	must(t, admin.Create(t.Context(), lost.CredentialSecret(stack.Connection+"-credential", stack.Connection, lost.Canary)))
	must(t, admin.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: stack.Connection + "-ca"},
		Data:       map[string]string{"ca.crt": string(lost.Postgres.CAPEM)},
	}))
	b.follows(t, sectionElsewhere, restoreObjects)
	allBack(t, kept, objectsOf(t, admin))
	b.follows(t, sectionElsewhere, startManager)
	startManagerOf(t, other)

	// Without an API server its last words wait for a while.
	must(t, live.Close(t.Context()))
	must(t, shop.Signal(syscall.SIGTERM))
	await(t, "the end of the proxy", func(context.Context) error {
		select {
		case <-shop.Done():
			return nil
		default:
			return errors.New("it runs")
		}
	})
	enrolElsewhere(t, other, admin, shop)
	rows := stacktest.Login(t, lost, shop, alice).Must(t, "SELECT count(*) FROM orders")
	if len(rows) != 1 {
		t.Errorf("the proxy answers %q from the other cluster", rows)
	}
	if now := stacktest.Login(t, lost, shop, ruth).Must(t, emailOfOne); now[0] == masked[0] {
		t.Errorf("a hashed value is %q in both clusters, want another, as the Connection has another UID", now)
	}
	var now v1alpha1.Connection
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(former), &now))
	if now.UID == former.UID || now.Status.Snapshot.Revision >= former.Status.Snapshot.Revision {
		t.Errorf("revision %d of Connection %s was %d of %s: want a lower one of another Connection",
			now.Status.Snapshot.Revision, now.UID, former.Status.Snapshot.Revision, former.UID)
	}
	await(t, "the log at the new witness", func(ctx context.Context) error {
		var log v1alpha1.AuditLog
		if err := admin.Get(ctx, client.ObjectKeyFromObject(before), &log); err != nil {
			return err
		}
		if log.Status.State != v1alpha1.AuditLogOpen || log.Status.Size <= before.Status.Size {
			return fmt.Errorf("it holds %+v, want more than %d records", log.Status, before.Status.Size)
		}
		return nil
	})
	verified := told(t, sectionElsewhere, verifyElsewhere)
	await(t, "the records, held against both witnesses", func(ctx context.Context) error {
		output, err := b.try(ctx, verified)
		if err == nil && strings.Count(output, "agrees with the ") < 2 {
			err = fmt.Errorf("the records are held against less than two checkpoints: %s", output)
		}
		return err
	})
	all, err := stack.ReadRecords(lost.Records())
	must(t, err)
	must(t, stack.Complete(all))
	// What the former witness held is evidence, not an object to be put back.
	if output, err := b.try(t.Context(), "kubectl create -f auditlogs.yaml"); err == nil || !strings.Contains(output, "by the manager alone") && !strings.Contains(output, "doorward-manager alone") {
		t.Errorf("AuditLogs were put back by an admin, or refused for another reason: %s", output)
	}
}

// startLost starts the cluster that will be lost, with a policy that hashes.
func startLost(t *testing.T) *stack.Stack {
	t.Helper()
	lost, err := stack.Start(t.Context(), stack.Options{Binaries: stack.Beside(world.Plugin()), DrainTimeout: drainTimeout})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			lost.PrintLogs()
		}
		must(t, lost.Stop())
	})
	must(t, lost.Apply(t.Context(), everywhere, chat))
	policy := reader(ruth.User, "public.customers")
	policy.Spec.Masks = []v1alpha1.Mask{hashed("public.customers.email")}
	must(t, lost.Admin.Create(t.Context(), policy))
	// Revisions that the other cluster does not come to for a while.
	for i := range 8 {
		stacktest.Change(t, lost, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1].Message = fmt.Sprintf("change %d", i) })
		must(t, lost.AwaitPolicy(t.Context(), stack.Connection, policy.Name))
	}
	return lost
}

// startManagerOf runs the manager on a control plane until the test ends.
func startManagerOf(t *testing.T, control *testenv.Env) {
	t.Helper()
	config, err := control.ServiceAccountConfig(t.Context(), stack.OperatorNamespace, "doorward-manager")
	must(t, err)
	kubeconfig, err := control.WriteKubeconfig("manager", config)
	must(t, err)
	health, err := proc.FreeAddress(t.Context())
	must(t, err)
	manager, err := proc.StartReady(t.Context(), proc.Command{
		Path: stack.Beside(world.Plugin()).Manager,
		Args: []string{
			"--kubeconfig=" + kubeconfig, "--namespaces=" + stack.Namespace, "--namespace=" + stack.OperatorNamespace,
			"--metrics-address=0", "--health-address=" + health, "--leader-elect=false",
		},
		Output: filepath.Join(control.Dir, "manager.log"),
	}, stack.ReadyTimeout, proc.Answers(http.DefaultClient, "http://"+health+"/readyz"))
	must(t, err)
	t.Cleanup(func() { must(t, manager.Stop()) })
}

// enrolElsewhere enrols a proxy that stopped at another cluster, into its own
// directory and as the same instance, and starts it.
func enrolElsewhere(t *testing.T, control *testenv.Env, admin client.Client, shop *stack.Proxy) {
	t.Helper()
	dir := filepath.Dir(shop.Spool)
	authority, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	must(t, err)
	var args []string
	await(t, "the enrolment", func(ctx context.Context) (err error) {
		args, err = enrol.Enrol(ctx, control.RESTConfig, admin, enrol.Request{
			Namespace: stack.Namespace, Connection: shop.Connection, OperatorNamespace: stack.OperatorNamespace,
			Directory: dir, Instance: shop.Instance, Listen: shop.Address, Recordings: enrol.Nowhere,
		})
		return err
	})
	if now, err := os.ReadFile(filepath.Join(dir, "ca.crt")); err != nil || !bytes.Equal(now, authority) {
		t.Errorf("the trust bundle is another: %v", err)
	}
	health, err := proc.FreeAddress(t.Context())
	must(t, err)
	proxy, err := proc.StartReady(t.Context(), proc.Command{
		Path: stack.Beside(world.Plugin()).Proxy, Args: append(args, "--health-address="+health), Dir: dir,
		Output: filepath.Join(control.Dir, "proxy.log"),
	}, stack.ReadyTimeout, proc.Answers(http.DefaultClient, "http://"+health+"/readyz"))
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Stop()) })
}
