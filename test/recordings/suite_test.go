// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recordings reads recordings of sessions as auditors do, and as those try who
// may not: a real API server, manager, proxy and database, and the plugin.
package recordings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/recordings/wire"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// world is the stack that the tests use, address where its manager serves recordings.
var (
	world   *stack.Stack
	address string
)

func TestMain(m *testing.M) {
	var err error
	if address, err = proc.FreeAddress(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(stacktest.Run(m, &world, stack.Options{
		ManagerArgs: []string{"--recordings-address=" + address}, ProxyArgs: []string{offer},
	}, people))
}

// offer has a proxy give the manager recordings.
const offer = "--recordings-address=" + stack.Namespace + "/" + stack.Connection + "=127.0.0.1:0"

// people bind the auditor's role: dora's here, otto's in another namespace. dora may forward
// a port to the manager, with no more rights than the docs say; nora may read recordings here,
// and nothing else.
func people(ctx context.Context) error {
	bind := func(namespace, name string) string {
		return fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: auditor-%s, namespace: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: doorward-auditor}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %s}]
`, name, namespace, name)
	}
	return world.Apply(ctx, "apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n", bind(stack.Namespace, "dora"), bind("elsewhere", "otto"),
		role(stack.OperatorNamespace, "forward", `
  - {apiGroups: [""], resources: [services], resourceNames: [doorward-manager-recordings], verbs: [get]}
  - {apiGroups: [""], resources: [pods], verbs: [list]}
  - {apiGroups: [""], resources: [pods/portforward], verbs: [create]}`), given(stack.OperatorNamespace, "forward", "dora"),
		role(stack.Namespace, "recordings", `
  - {apiGroups: [doorward.dev], resources: [auditsessions/recording], verbs: [get]}
  - {apiGroups: [""], resources: [configmaps], resourceNames: [doorward-trust-bundle], verbs: [get]}`), given(stack.Namespace, "recordings", "nora"))
}

func role(namespace, name, rules string) string {
	return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: %s, namespace: %s}\nrules:%s\n", name, namespace, rules)
}

// given binds a Role to a user.
func given(namespace, role, user string) string {
	return fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %s-%s, namespace: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %s}]
`, role, user, namespace, role, user)
}

// token is somebody's for the API server.
func token(t *testing.T, user string) string {
	t.Helper()
	return tokenOf(t, issuer.Request{User: user, Audience: stack.KubernetesAudience, Groups: []string{"staff"}})
}

func tokenOf(t *testing.T, request issuer.Request) string {
	t.Helper()
	made, err := world.Issuer.TokenFor(request)
	stacktest.Must(t, err)
	return made
}

// answer is what somebody got.
type answer struct {
	code   int
	body   string
	header http.Header
	broken error
}

// client trusts the manager by its name, whatever the address.
func client(t *testing.T) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(world.CAPath)
	stacktest.Must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: wire.ServerName(stack.OperatorNamespace), MinVersion: tls.VersionTLS12,
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: stacktest.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a redirect") }}
}

// ask sends a request as it is written, again while all who ask from this machine are
// too many.
func ask(t *testing.T, method, path, token string, edit func(*http.Request)) answer {
	t.Helper()
	c := client(t)
	for {
		request, err := http.NewRequestWithContext(t.Context(), method, "https://"+address, http.NoBody)
		stacktest.Must(t, err)
		request.URL.Opaque = path // not cleaned on its way
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		if edit != nil {
			edit(request)
		}
		response, err := c.Do(request)
		stacktest.Must(t, err)
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		got := answer{response.StatusCode, string(body), response.Header, err}
		if got.code == http.StatusTooManyRequests && strings.Contains(got.body, "too many requests: try again") {
			select {
			case <-time.After(200 * time.Millisecond): // as Retry-After asks for, and sooner
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			}
			continue
		}
		return got
	}
}

func read(t *testing.T, path, token string) answer {
	t.Helper()
	return ask(t, http.MethodGet, path, token, nil)
}

// session is one of alice's, with these statements, as its AuditSession has it.
func session(t *testing.T, proxy *stack.Proxy, leave bool, statements ...string) *v1alpha1.AuditSession {
	t.Helper()
	s := stacktest.Login(t, world, proxy, issuer.Request{User: "alice", Groups: []string{"analysts"}})
	for _, statement := range statements {
		s.Must(t, statement)
	}
	if leave {
		s.Leave(t)
	}
	var object *v1alpha1.AuditSession
	stacktest.Await(t, "the AuditSession", func(ctx context.Context) (err error) {
		object, err = s.Object(ctx)
		if err == nil && (object.Status.Log == nil || leave && object.Status.Phase != v1alpha1.SessionEnded) {
			err = errors.New("not shown yet")
		}
		return err
	})
	return object
}

func pathOf(s *v1alpha1.AuditSession) string { return wire.RecordingPath(s.Namespace, s.Name) }

// reads are the readings of a session's recording by somebody, as the sink has them.
func reads(t *testing.T, user, session string) (found []record.Document) {
	t.Helper()
	all, err := stack.ReadRecords(world.Records())
	stacktest.Must(t, err)
	for i := range all {
		if d := &all[i]; d.Type == record.RecordingRead && d.Actor.UserName == user && (session == "" || d.Read.Session == session) {
			found = append(found, *d)
		}
	}
	return found
}

// awaitRead waits until the sink has a number of readings.
func awaitRead(t *testing.T, user, session string, number int) (found []record.Document) {
	t.Helper()
	stacktest.Await(t, "the reading's record", func(context.Context) error {
		if found = reads(t, user, session); len(found) < number {
			return fmt.Errorf("%d of %d readings by %s are on record", len(found), number, user)
		}
		return nil
	})
	return found
}

// raw sends bytes over TLS and returns what comes back.
func raw(t *testing.T, text string) string {
	t.Helper()
	config := client(t).Transport.(*http.Transport).TLSClientConfig.Clone()
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: stacktest.Timeout}, Config: config}).DialContext(t.Context(), "tcp", address)
	stacktest.Must(t, err)
	defer conn.Close()
	stacktest.Must(t, conn.SetDeadline(time.Now().Add(stacktest.Timeout)))
	_, err = io.WriteString(conn, text)
	stacktest.Must(t, err)
	said, _ := io.ReadAll(conn)
	return string(said)
}
