// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
)

// TestRotateTargetCredential gives the proxies a second role at the target, and
// takes the first away from new logins.
func TestRotateTargetCredential(t *testing.T) {
	const next = stack.Role + "_next"
	admitLoad(t)
	l := steady(t, taken(t), world.Proxy())
	as := func(role string) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := asked(ctx, t, world.Proxy(), "alice", "SELECT session_user", "analysts")
			if err == nil && got != role {
				err = fmt.Errorf("the proxy logs in as %q, want %q", got, role)
			}
			return err
		}
	}
	use := func(role, password string) {
		change(t, secret(stack.Namespace, stack.Connection+"-credential"), func(s *corev1.Secret) {
			s.Data["username"], s.Data["password"] = []byte(role), []byte(password)
		})
	}
	execute := func(statement string) {
		must(t, world.Postgres.Exec(context.WithoutCancel(t.Context()), statement))
	}
	w := l.Open()
	execute(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'next-%s' IN ROLE %s", next, world.Canary, stack.Role))
	t.Cleanup(func() {
		execute("ALTER ROLE " + stack.Role + " LOGIN")
		use(stack.Role, world.Canary)
		await(t, "a login as the former role", as(stack.Role))
		execute("DROP ROLE " + next)
	})
	use(next, "next-"+world.Canary)
	took := await(t, "a login as the second role", as(next))
	execute("ALTER ROLE " + stack.Role + " NOLOGIN")
	unfelt(t, "a second role", l, w)
	t.Logf("proxies log in as the second role %s after the Secret was updated", short(took))
}

// TestRotateSinkCredential changes the secret that records are signed with, at the
// receiver first, so that it takes nothing until the proxies have the new one too.
func TestRotateSinkCredential(t *testing.T) {
	admitLoad(t)
	receiver, err := world.StartReceiver(t.Context(), "rotated")
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(receiver.Remove(context.WithoutCancel(t.Context())), receiver.Stop()); err != nil {
			t.Error(err)
		}
	})
	must(t, receiver.Install(t.Context()))
	l := steady(t, taken(t), world.Proxy())
	await(t, "records at the receiver", func(context.Context) error { return arrived(receiver.Records, "") })
	w := l.Open()

	must(t, receiver.Kill())
	next := "whsec_" + base64.StdEncoding.EncodeToString([]byte("the receiver's secret of tomorrow"))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(receiver.Records), "secrets"), []byte(next), 0o600))
	must(t, receiver.Start(t.Context()))
	await(t, "a LogSink that does not take the former credential", func(ctx context.Context) error {
		return delivers(ctx, receiver.Name, metav1.ConditionFalse, "401")
	})
	const mark = "while no sink takes it"
	must(t, visit(t.Context(), t, world.Proxy(), "alice", "SELECT '"+mark+"'", "analysts"))
	if err := arrived(receiver.Records, mark); err == nil {
		t.Fatal("the receiver took what was signed with a secret that it does not know")
	}

	change(t, secret(stack.OperatorNamespace, receiver.Name), func(s *corev1.Secret) { s.Data["signingKey"] = []byte(next) })
	took := await(t, "the record that waited", func(context.Context) error { return arrived(receiver.Records, mark) })
	unfelt(t, "a sink that took nothing until its credential was changed", l, w)
	await(t, "a LogSink that delivers", func(ctx context.Context) error { return delivers(ctx, receiver.Name, metav1.ConditionTrue, "") })
	must(t, whole(receiver.Records))
	t.Logf("what waited was delivered %s after the Secret was updated", short(took))
}

// delivers says whether a LogSink's condition Reachable has a status, and a message
// that contains a text.
func delivers(ctx context.Context, name string, status metav1.ConditionStatus, text string) error {
	var sink v1alpha1.LogSink
	if err := world.Admin.Get(ctx, client.ObjectKey{Name: name}, &sink); err != nil {
		return err
	}
	c := meta.FindStatusCondition(sink.Status.Conditions, v1alpha1.ConditionReachable)
	if c == nil || c.Status != status || !strings.Contains(c.Message, text) {
		return fmt.Errorf("LogSink %q: %+v, want %s with %q", name, c, status, text)
	}
	return nil
}

// arrived says whether a receiver has a whole line with a text.
func arrived(path, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(content) {
		if bytes.HasSuffix(line, []byte("\n")) && bytes.Contains(line, []byte(text)) {
			return nil
		}
	}
	return fmt.Errorf("no record with %q among %d bytes", text, len(content))
}

// whole says whether a receiver has every record of each log from the first that it
// was sent to the last, once.
func whole(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	type span struct{ first, last, count int64 }
	logs := map[string]*span{}
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		document, err := record.Decode(bytes.TrimSpace(line))
		if err != nil {
			return err
		}
		s := logs[document.Log]
		if s == nil {
			s = &span{first: document.Index, last: document.Index}
			logs[document.Log] = s
		}
		s.first, s.last, s.count = min(s.first, document.Index), max(s.last, document.Index), s.count+1
	}
	for log, s := range logs {
		if s.last-s.first+1 != s.count {
			return fmt.Errorf("the receiver has %d records of log %s from %d to %d", s.count, log, s.first, s.last)
		}
	}
	return nil
}

// TestRotateToken starts a proxy with a token of the shortest life that the API
// server gives, waits for the renewal, and revokes the first one.
func TestRotateToken(t *testing.T) {
	admitLoad(t)
	late, instance := newProxy(t)
	kubeconfig := filepath.Join(world.Dir, "proxies", instance, "kubeconfig")
	// A token that is bound to an object ends with it.
	bound := secret(stack.Namespace, "token-"+instance)
	must(t, world.Admin.Create(t.Context(), bound))
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(world.Admin.Delete(context.WithoutCancel(t.Context()), bound)); err != nil {
			t.Error(err)
		}
	})
	seconds := int64(600)
	first := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: bound.Name, UID: bound.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "doorward-" + stack.Connection}}
	must(t, world.Admin.SubResource("token").Create(t.Context(), account, first))
	must(t, late.Stop())
	config, err := clientcmd.LoadFromFile(kubeconfig)
	must(t, err)
	user := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	user.Token = first.Status.Token
	must(t, clientcmd.WriteToFile(*config, kubeconfig))
	must(t, late.Start(t.Context()))
	l := steady(t, taken(t), late)
	w := l.Open()

	var renewed string
	took := await(t, "another token in the kubeconfig", func(context.Context) error {
		config, err := clientcmd.LoadFromFile(kubeconfig)
		if err != nil {
			return err
		}
		if renewed = config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo].Token; renewed == first.Status.Token {
			return errors.New("it is the first")
		}
		return nil
	})
	must(t, world.Admin.Delete(t.Context(), bound))
	await(t, "the end of the first token", func(ctx context.Context) error {
		c, err := client.New(world.Control.TokenConfig(first.Status.Token), client.Options{Scheme: world.Admin.Scheme()})
		if err != nil {
			return err
		}
		if _, err := identity(ctx, c); !apierrors.IsUnauthorized(err) {
			return fmt.Errorf("the first token: %w, want it refused", err)
		}
		return nil
	})
	c, err := client.New(world.Control.TokenConfig(renewed), client.Options{Scheme: world.Admin.Scheme()})
	must(t, err)
	if name, err := identity(t.Context(), c); err != nil || name != "system:serviceaccount:"+stack.Namespace+":"+account.Name {
		t.Errorf("the renewed token is of %q, %v", name, err)
	}
	// What is new at the API server still arrives.
	give(t, reader("tess", "public.orders"))
	must(t, visit(t.Context(), t, late, "tess", "SELECT count(*) FROM orders"))
	unfelt(t, "a token that was renewed", l, w)
	t.Logf("a token of %s was renewed within %s", time.Duration(seconds)*time.Second, short(took))
}

// identity is who the API server takes a client for.
func identity(ctx context.Context, c client.Client) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	err := c.Create(ctx, review)
	return review.Status.UserInfo.Username, err
}
