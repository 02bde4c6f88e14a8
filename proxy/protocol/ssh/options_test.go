// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

func TestOptions(t *testing.T) {
	signer, _ := newKey(t)
	key := authorizedKey(signer.PublicKey())
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	short, err := ssh.NewPublicKey(&weak.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"hostKeys": ["KEY"]}`: "",
		`{"hostKeys": ["KEY a comment", "@cert-authority *.example.com KEY", "@revoked * KEY"], "shell": "bash", "environment": ["FOO"], "sftpPaths": "AsWritten", "keepAliveSeconds": 5, "advisory": "EndSession"}`: "",
		``:                                   `key "hostKeys" is missing`,
		`{}`:                                 `key "hostKeys" is missing`,
		`{"hostkey": ["KEY"]}`:               `the keys of protocol ssh are`,
		`{"hostKeys": ["KEY"]} {}`:           "nothing after it",
		`{"hostKeys": ["nonsense"]}`:         "line 1: want",
		`{"hostKeys": ["ssh-ed25519 AAAA"]}`: "cannot be read",
		`{"hostKeys": ["KEY\nKEY"]}`:         "one line holds several",
		`{"hostKeys": ["@other * KEY"]}`:     "the marker is unknown",
		`{"hostKeys": ["|1|x|y KEY"]}`:       "hashed",
		`{"hostKeys": ["@revoked * KEY"]}`:   "all lines revoke",
		`{"hostKeys": ["` + authorizedKey(short) + `"]}`:                    "at least 2048 bits",
		`{"hostKeys": ["KEY"], "shell": "fish"}`:                            "shell: want one of",
		`{"hostKeys": ["KEY"], "environment": ["A=B"]}`:                     "names of variables",
		`{"hostKeys": ["KEY"], "sftpPaths": "Guess"}`:                       "sftpPaths: want",
		`{"hostKeys": ["KEY"], "keepAliveSeconds": -1}`:                     "keepAliveSeconds: want",
		`{"hostKeys": ["KEY"], "advisory": "Refuse"}`:                       "advisory: want EndSession",
		`{"hostKeys": ["KEY"], "advisory": "EndSession", "shell": "other"}`: "nothing would be found",
		`{"hostKeys": ["` + strings.Repeat(`KEY","`, 64) + `KEY"]}`:         "at most 64",
	} {
		err := New().ValidateOptions(json.RawMessage(strings.ReplaceAll(text, "KEY", key)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestVocabulary: the page of the protocol lists what policies may name.
func TestVocabulary(t *testing.T) {
	page, err := os.ReadFile("../../../docs/protocols/ssh.md")
	if err != nil {
		t.Fatal(err)
	}
	v := New().Vocabulary()
	for _, term := range slices.Concat(v.Actions, v.Properties) {
		if !strings.Contains(string(page), "`"+term.Name+"`") {
			t.Errorf("docs/protocols/ssh.md does not list %q", term.Name)
		}
	}
	if v.Role == "" || v.Row == "" || v.Field != "" {
		t.Errorf("duties: %+v", v)
	}
}

// TestLines: what lines come to for policies.
func TestLines(t *testing.T) {
	direct := func(action, resource string) policy.Access { return policy.Access{Action: action, Resource: resource} }
	for line, want := range map[string]struct {
		accesses   []policy.Access
		properties []string
	}{
		"uptime":                    {accesses: []policy.Access{direct("exec", "uptime")}},
		"echo hello":                {accesses: []policy.Access{direct("exec", "echo")}},
		"cd /tmp && cat x > y":      {accesses: []policy.Access{{Action: "exec", Resource: "cd", Indirect: true}, direct("exec", "cat"), direct("write", "./y")}},
		"cat < /etc/../etc/shadow":  {accesses: []policy.Access{direct("exec", "cat"), direct("read", "/etc/shadow"), direct("unknown", "")}},
		"/usr/bin/systemctl stop x": {accesses: []policy.Access{direct("exec", "/usr/bin/systemctl"), {Action: "exec", Resource: "/usr/bin/systemctl stop", Indirect: true}}},
		"sudo -u app id":            {accesses: []policy.Access{direct("exec", "sudo"), direct("exec", "id")}, properties: []string{"otherUser"}},
		"X=1":                       {accesses: []policy.Access{direct("exec", "")}},
		"sh":                        {accesses: []policy.Access{direct("exec", "sh"), direct("unknown", "sh")}},
		"scp -t /srv/a":             {accesses: []policy.Access{direct("upload", "/srv/a")}, properties: []string{"scp"}},
		"scp -f .ssh/id":            {accesses: []policy.Access{direct("download", "~/.ssh/id")}, properties: []string{"scp"}},
		"scp -t a/./b//c":           {accesses: []policy.Access{direct("upload", "~/a/b/c")}, properties: []string{"scp"}},
		"scp -t /srv/../etc":        {accesses: []policy.Access{direct("unknown", "scp"), direct("upload", "/etc")}, properties: []string{"scp"}},
		"rsync --server -logDtpre.iLsfxC . /srv/a": {accesses: []policy.Access{direct("upload", "/srv/a")}, properties: []string{"rsync"}},
		"git-upload-pack '/srv/x.git'":             {accesses: []policy.Access{direct("download", "/srv/x.git"), {Action: "download", Resource: "/srv/x.git.git", Indirect: true}}, properties: []string{"git"}},
		"git-receive-pack '/srv/x/'":               {accesses: []policy.Access{direct("upload", "/srv/x"), {Action: "upload", Resource: "/srv/x.git", Indirect: true}}, properties: []string{"git"}},
		"/usr/lib/openssh/sftp-server":             {accesses: []policy.Access{direct("subsystem", "sftp")}},
	} {
		var w wanted
		w.line(line, &options{Shell: command.Bash}, false)
		for _, a := range want.accesses {
			if !slices.Contains(w.accesses, a) {
				t.Errorf("%q lacks %+v: %+v", line, a, w.accesses)
			}
		}
		if len(w.accesses) > len(want.accesses) || !slices.Equal(w.properties, want.properties) {
			t.Errorf("%q: %+v %q", line, w.accesses, w.properties)
		}
	}
	// With a terminal, what would be read as a protocol of files is a command like others.
	for _, line := range []string{"scp -t /srv/a", "/usr/lib/openssh/sftp-server"} {
		var w wanted
		w.line(line, &options{Shell: command.Bash}, true)
		if w.files || w.moves || !slices.ContainsFunc(w.accesses, func(a policy.Access) bool { return a.Action == actionExec }) {
			t.Errorf("%q with a terminal: %+v", line, w.accesses)
		}
	}
}
