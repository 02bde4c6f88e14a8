// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestCommands: checklist 8: who may run some commands runs these and no others, has no shell, and
// is told in his terminal what would help.
func TestCommands(t *testing.T) {
	eli := by("eli")
	victim := filepath.Join(files, "victim")
	stacktest.Must(t, os.WriteFile(victim, nil, 0o600))
	for name, test := range map[string]struct {
		reason, line string
		status       int
		says         []string
	}{
		"Allowed":      {"what is allowed runs, in pipes too", "echo one | cat", 0, []string{"one\n"}},
		"Denied":       {"a rule's own words, and how to see it", "rm " + victim, 126, []string{"files are removed by the release pipeline", "kubectl -n shop get accesspolicy commands"}},
		"Unnamed":      {"what no rule names is denied", "touch " + victim + "-2", 126, []string{"no AccessPolicy allows eli to exec touch", "kubectl -n shop get accesspolicies -o yaml"}},
		"Hidden":       {"nor is it found behind what is allowed", "echo one; cat $(rm " + victim + ")", 126, []string{"files are removed by the release pipeline"}},
		"Interpreter":  {"an interpreter is a command that nobody has named", "echo cm0= | base64 -d | sh", 126, []string{"no AccessPolicy allows eli"}},
		"ByShell":      {"sh -c is read", "sh -c 'rm " + victim + "'", 126, []string{"files are removed by the release pipeline"}},
		"NotPlain":     {"what cannot be told from the text is said", "cat ${x:=y}$(echo id)z; $x", 126, []string{"What the line does is not plain"}},
		"WithTerminal": {"a terminal changes nothing", "", 126, []string{"shell", "kubectl -n shop get accesspolicies -o yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(test.reason)
			args := []string{"-T", place, test.line}
			if test.line == "" {
				args = []string{"-tt", place}
			}
			finish(t, eli.command(t, "ssh", args...), "rm "+victim+"\n").wants(t, test.status, test.says...)
			line := test.line
			if line == "" {
				line = "shell"
			}
			want := map[bool]string{true: "Allow", false: "Deny"}[test.status == 0]
			if d := decided(t, "eli", line); d.Decision.Effect != want {
				t.Errorf("on record: %+v", d.Decision)
			}
		})
	}
	if _, err := os.Stat(victim); err != nil {
		t.Errorf("it was removed: %v", err)
	}
}

// TestMasked: checklist 18: a mask of a policy hides what detectors find in what commands say, and has nothing
// shown that it cannot look into.
func TestMasked(t *testing.T) {
	mel := by("mel")
	finish(t, mel.command(t, "ssh", "-T", place, "printf 'to ann@exa'; printf 'mple.com\\n'"), "").wants(t, 0, "to [masked]\n")
	letter := filepath.Join(files, "public", "letter")
	stacktest.Must(t, os.WriteFile(letter, []byte("ann@example.com"), 0o600))
	fetched := filepath.Join(t.TempDir(), "letter")
	if got := finish(t, mel.command(t, "scp", place+":"+letter, fetched), ""); got.status == 0 {
		t.Errorf("a file is fetched under a mask: %+v", got)
	}
	if _, err := os.Stat(fetched); err == nil {
		t.Error("the file is there")
	}
}

// TestFiles: checklist 7: files are for those whose path a policy names, wherever links and dots lead.
func TestFiles(t *testing.T) {
	secret := filepath.Join(files, "secret")
	stacktest.Must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	stacktest.Must(t, os.WriteFile(filepath.Join(files, "public", "notes"), []byte("notes of the release"), 0o600))
	stacktest.Must(t, os.Symlink(secret, filepath.Join(files, "public", "link")))
	dir := t.TempDir()
	upload := filepath.Join(dir, "upload")
	stacktest.Must(t, os.WriteFile(upload, []byte("release 7"), 0o600))
	fay := by("fay")
	for i, test := range []struct {
		reason, batch    string
		action, resource string // denied
	}{
		{"what may be read", "get FILES/public/notes DIR/notes", "", ""},
		{"what may be written", "put DIR/upload FILES/incoming/release", "", ""},
		{"another folder", "get FILES/secret DIR/secret", "read", secret},
		{"up and down again", "get FILES/public/../secret DIR/secret-2", "read", secret},
		{"a link leads out", "get FILES/public/link DIR/secret-3", "read", secret},
		{"reading is not writing", "put DIR/upload FILES/public/notes", "write", filepath.Join(files, "public", "notes")},
		{"nor removing", "rm FILES/incoming/release", "remove", filepath.Join(files, "incoming", "release")},
	} {
		t.Run(fmt.Sprintf("%d %s", i, test.reason), func(t *testing.T) {
			batch := strings.NewReplacer("FILES", files, "DIR", dir).Replace(test.batch)
			came := finish(t, fay.command(t, "sftp", "-b", "-", place), batch+"\n")
			if test.action == "" {
				came.wants(t, 0)
				return
			}
			came.wants(t, 1, "Permission denied", "Doorward: no AccessPolicy allows fay to "+test.action+" "+test.resource, "kubectl -n shop get accesspolicies -o yaml")
			onRecord(t, "the refusal", func(d *record.Document) bool {
				return d.Type == record.OperationDecided && d.Actor.UserName == "fay" && d.Decision.Effect == "Deny" &&
					slices.ContainsFunc(d.Operation.Accesses, func(a record.AccessDocument) bool { return a.Action == test.action && a.Resource == test.resource })
			})
		})
	}
	got, err := os.ReadFile(filepath.Join(dir, "notes"))
	if err != nil || string(got) != "notes of the release" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := filepath.Glob(filepath.Join(dir, "secret*")); err != nil || len(got) > 0 {
		t.Errorf("the secret was read: %v, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(files, "incoming", "release")); err != nil || string(got) != "release 7" {
		t.Errorf("there is %q, %v", got, err)
	}
	transferred(t, filepath.Join(files, "incoming", "release"), record.ToTarget, "release 7")
	transferred(t, filepath.Join(files, "public", "notes"), record.ToCaller, "notes of the release")
}

// TestForwards: a forward leads where a policy says, and nowhere else; its bytes are counted.
func TestForwards(t *testing.T) {
	flo := by("flo")
	finish(t, flo.command(t, "ssh", "-W", echo, place), "over there\n").wants(t, 0, "over there\n")
	finish(t, flo.command(t, "ssh", "-W", closed, place), "over there\n").wants(t, 255, "no AccessPolicy allows flo to forward "+closed)
	finish(t, flo.command(t, "ssh", "-T", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:"+echo, "-N", place), "").wants(t, 255, "remote port forwarding failed")
	flo.runs(t, "id").wants(t, 126, "no AccessPolicy allows flo to exec id")
	d := onRecord(t, "the end of the forward", func(d *record.Document) bool {
		return d.Type == record.OperationResult && d.Actor.UserName == "flo" && d.Result.Bytes == int64(len("over there\n"))
	})
	if len(d.Result.Transfers) != 2 {
		t.Errorf("on record: %+v", d.Result)
	}

	// By a port of the client's own, for as long as he stays.
	port, err := proc.FreeAddress(t.Context())
	stacktest.Must(t, err)
	tunnel := start(t, flo.command(t, "ssh", "-N", "-v", "-L", port+":"+echo, place))
	tunnel.shows(t, "Local forwarding listening on")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", port)
	stacktest.Must(t, err)
	defer conn.Close()
	stacktest.Must(t, conn.SetDeadline(time.Now().Add(stacktest.Timeout)))
	_, err = io.WriteString(conn, "again")
	stacktest.Must(t, err)
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "again" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestEdited: an edit of a policy takes rights from a session that goes on: the shell that it
// allowed ends, and who comes again has none (checklist 36).
func TestEdited(t *testing.T) {
	policy := stack.Policy("fleeting", stack.Users("una"), stack.Allow("shell", []string{"shell"}, "*"), stack.Allow("look", []string{"exec"}, "id"))
	policy.Spec.Connections = []v1alpha1.ConnectionSelector{{Name: connection}}
	stacktest.Create(t, world, policy)
	stacktest.Must(t, world.AwaitPolicy(t.Context(), connection, policy.Name))
	una := by("una")
	shell := una.shell(t)
	accepted := stacktest.Change(t, world, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules = p.Spec.Rules[1:] })
	if status := shell.ends(t); status == 0 {
		t.Error("the shell ended as if all were well")
	}
	within(t, "the shell of an edited policy ended", accepted)
	shell.shows(t, "Doorward: ")
	una.runs(t, "id").wants(t, 0, "uid=")
	finish(t, una.command(t, "ssh", "-tt", place), "").wants(t, 126, "no AccessPolicy allows una")
}
