// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// The outputs that texts come out at, beside what their writers are told.
const (
	requestsOut    = "kubectl doorward requests"
	sessionsOut    = "kubectl doorward sessions"
	replayOut      = "kubectl doorward replay"
	auditOut       = "kubectl doorward audit"
	credentialsOut = "kubectl doorward credentials"
	recordsOut     = "the records"
)

// parameters are what a client connects with.
type parameters = pgconn.Config

// markOf is what a text of a row begins with.
func markOf(name string) string { return "mark-" + strings.ToLower(name) + "-" }

// plain fails the test where something draws, deceives, or passes for a line of the output's own.
func plain(t *testing.T, where, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: not UTF-8", where)
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && record.Deceives(r) }); i >= 0 {
			t.Errorf("%s: %q", where, clipped(line[max(0, i-100):]))
		}
		if strings.HasPrefix(line, forged) {
			t.Errorf("%s: a forged line: %q", where, clipped(line))
		}
	}
}

func clipped(text string) string {
	const most = 400
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// ask executes a statement with a text in it.
func ask(statement string) func(*testing.T, *speakers, string) string {
	return func(t *testing.T, s *speakers, text string) string {
		t.Helper()
		session := s.login(t)
		defer session.Leave(t)
		ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
		defer cancel()
		_, err := session.Run(ctx, fmt.Sprintf(statement, text))
		return saidOf(err)
	}
}

// startup connects with a text somewhere.
func startup(set func(*parameters, string)) func(*testing.T, *speakers, string) string {
	return func(t *testing.T, _ *speakers, text string) string {
		t.Helper()
		config, err := world.Config(world.Proxy(), issuer.Request{User: "tess"})
		stacktest.Must(t, err)
		set(config, text)
		return connected(t, config)
	}
}

// claims connects with a token of a text.
func claims(of func(string) (string, []string)) func(*testing.T, *speakers, string) string {
	return func(t *testing.T, _ *speakers, text string) string {
		t.Helper()
		user, groups := of(text)
		config, err := world.Config(world.Proxy(), issuer.Request{User: user, Groups: groups})
		stacktest.Must(t, err)
		return connected(t, config)
	}
}

func connected(t *testing.T, config *pgconn.Config) string {
	t.Helper()
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err == nil {
		stacktest.Must(t, conn.Close(t.Context()))
	}
	return saidOf(err)
}

// saidOf is all that the proxy says of an error, and nothing that the client does.
func saidOf(err error) string {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return ""
	}
	return strings.Join([]string{
		said.Message, said.Detail, said.Hint, said.Where, said.InternalQuery, said.SchemaName, said.TableName, said.ColumnName, said.DataTypeName, said.ConstraintName,
	}, "\n")
}

// login opens a session that is replayed afterwards.
func (s *speakers) login(t *testing.T) *stacktest.Session {
	t.Helper()
	session := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "tess"})
	s.sessions = append(s.sessions, s.object(t, session).Name)
	return session
}

func (*speakers) object(t *testing.T, session *stacktest.Session) (object *v1alpha1.AuditSession) {
	t.Helper()
	stacktest.Await(t, "the AuditSession", func(ctx context.Context) (err error) {
		object, err = session.Object(ctx)
		return err
	})
	return object
}

// heldText is a statement that waits.
type heldText struct {
	request *v1alpha1.ApprovalRequest
	notice  string
	answer  chan error
}

var heldName = regexp.MustCompile(`ApprovalRequest "([^"]+)"`)

func (s *speakers) held(t *testing.T, statement string) *heldText {
	t.Helper()
	session := s.login(t)
	h := &heldText{answer: make(chan error, 1), request: &v1alpha1.ApprovalRequest{}}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*stacktest.Timeout)
		defer cancel()
		_, err := session.Run(ctx, statement)
		h.answer <- err
	}()
	select {
	case n := <-session.Notices:
		h.notice = strings.Join([]string{n.Message, n.Detail, n.Hint}, "\n")
	case err := <-h.answer:
		t.Fatalf("%q was not held: %v", statement, err)
	}
	name := heldName.FindStringSubmatch(h.notice)
	if name == nil {
		t.Fatalf("the notice names no request: %s", h.notice)
	}
	stacktest.Must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: name[1]}, h.request))
	return h
}

// table makes a table of that name at the target, past the proxy.
func table(t *testing.T, name string) {
	t.Helper()
	stacktest.Must(t, world.ExecDirect(t.Context(), `CREATE TABLE "`+name+`" (id integer)`))
	t.Cleanup(func() {
		if err := world.ExecDirect(context.Background(), `DROP TABLE "`+name+`"`); err != nil {
			t.Error(err)
		}
	})
}

// plugin is all that a command of the plugin prints, whether it succeeds or not.
func (s *speakers) plugin(t *testing.T, args ...string) string {
	t.Helper()
	if args[0] != "audit" { // which reads files
		args = append(args[:len(args):len(args)], "--namespace="+stack.Namespace)
	}
	command := exec.CommandContext(t.Context(), world.Plugin(), args...)
	command.Env = []string{"KUBECONFIG=" + s.admin, "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	out, err := command.CombinedOutput()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return string(out)
}

// outputs are everything that people read, once all is on record.
func (s *speakers) outputs(t *testing.T) map[string]string {
	t.Helper()
	stacktest.Await(t, "all is on record", func(context.Context) error {
		all, err := stack.ReadRecords(world.Records())
		if err != nil {
			return err
		}
		var mention strings.Builder
		for i := range all {
			if all[i].Operation != nil {
				mention.WriteString(all[i].Operation.Statement)
			}
			mention.WriteString(all[i].Reason)
		}
		for _, name := range []string{"Statement", "HeldTable", "DeniedTable", "Terminate"} {
			if !strings.Contains(mention.String(), markOf(name)) {
				return fmt.Errorf("%s is not on record", name)
			}
		}
		return nil
	})
	out := map[string]string{
		"kubectl doorward ls":     s.plugin(t, "ls") + s.plugin(t, "ls", "-o", "wide"),
		"kubectl doorward policy": s.plugin(t, "policy", "explain", "--as", "tess", "-c", stack.Connection),
		credentialsOut:            s.plugin(t, "credentials", "--all") + s.plugin(t, "credentials", "--all", "-o", "wide"),
		requestsOut:               s.plugin(t, "requests") + s.plugin(t, "requests", "-o", "wide"),
		sessionsOut:               s.plugin(t, "sessions") + s.plugin(t, "sessions", "-o", "wide"),
		auditOut:                  s.plugin(t, "audit", "show", world.Records()) + s.plugin(t, "audit", "verify", world.Records()),
		"the log of the manager":  file(t, filepath.Join(world.Logs(), "manager.log")),
		"the log of the proxy":    file(t, world.Proxy().Log()),
		recordsOut:                "",
	}
	var requests v1alpha1.ApprovalRequestList
	stacktest.Must(t, world.Admin.List(t.Context(), &requests, client.InNamespace(stack.Namespace)))
	for i := range requests.Items {
		out[requestsOut] += s.plugin(t, "requests", requests.Items[i].Name)
	}
	for _, name := range s.sessions {
		out[sessionsOut] += s.plugin(t, "sessions", name)
		out[replayOut] += s.plugin(t, "replay", name, "--records", world.Records(), "--no-verify")
	}
	paths, err := filepath.Glob(filepath.Join(world.Records(), "*.jsonl"))
	stacktest.Must(t, err)
	for _, path := range paths {
		out[recordsOut] += file(t, path)
	}
	return out
}

func file(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	stacktest.Must(t, err)
	return string(content)
}
