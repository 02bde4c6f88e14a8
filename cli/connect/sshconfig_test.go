// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/cli/login"
)

// TestSSHConfiguration: checklist 6. OpenSSH reads the configuration as it is meant, in
// whatever folder it is, trusts no other host key, and nobody who names an endpoint adds to it.
func TestSSHConfiguration(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "100% of it")
	web := target{namespace: "shop", name: "web", protocol: "ssh", endpoint: "doorward-web.shop.svc:2222"}
	token := map[string]string{
		"hostname": "127.0.0.1", "port": "40000", "user": "deploy+shop/web", "hostkeyalias": "doorward-web.shop.svc",
		"stricthostkeychecking": "true", "preferredauthentications": "password", "pubkeyauthentication": "false",
		"userknownhostsfile": filepath.Join(folder, "known_hosts"), "globalknownhostsfile": filepath.Join(folder, "known_hosts"),
	}
	certificate := map[string]string{
		"user": "+shop/web", "preferredauthentications": "publickey", "identitiesonly": "yes", "identityfile": filepath.Join(folder, "key"),
		"certificatefile": filepath.Join(folder, "key-cert.pub"), "stricthostkeychecking": "true",
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason   string
		s        session
		endpoint string
		want     map[string]string
	}{
		"Token":        {reason: "it is the password", s: session{loginName: "deploy"}, want: token},
		"Certificate":  {reason: "nothing else is tried", s: session{ssh: &login.SSHIdentity{}}, want: certificate},
		"Line":         {reason: "a line more would run a program", endpoint: "web\n  ProxyCommand touch /tmp/x\n:2222"},
		"Option":       {reason: "so would other words", endpoint: "web -oProxyCommand=x:2222"},
		"Token of ssh": {reason: "nor are tokens expanded", endpoint: "%h:2222"},
		"Nobody":       {reason: "there is no name to verify", endpoint: ":2222"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.s
			s.target, s.folder, s.authorities = web, folder, []byte("@cert-authority * ssh-ed25519 AAAA\n")
			if tc.endpoint != "" {
				s.endpoint = tc.endpoint
			}
			err := s.writeSSH("127.0.0.1:40000")
			if (err == nil) != (tc.want != nil) {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if err != nil {
				return
			}
			got := resolved(t.Context(), t, filepath.Join(folder, sshConfig))
			for key, value := range tc.want {
				if got[key] != value {
					t.Errorf("%s: %s is %q, want %q", tc.reason, key, got[key], value)
				}
			}
		})
	}
}

// resolved is what ssh makes of a configuration, by lower-case keyword.
func resolved(ctx context.Context, t *testing.T, config string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(ctx, "ssh", "-G", "-F", config, "web").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[key] = strings.ReplaceAll(value, "%%", "%")
	}
	return all
}
