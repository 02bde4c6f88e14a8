// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/proxy/devicelogin"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/operator"
	"github.com/doorward/doorward/test/sshd"
)

// TestSSHLink is a login by plain ssh: what the manager publishes says where its portal is and
// whom to trust there; the terminal shows the link, a person follows it to her identity
// provider and says yes, and the target's log names her. When she leaves, nothing of it is left.
func TestSSHLink(t *testing.T) {
	authority := arrangePortal(t, map[string]any{"sub": "s1", "preferred_username": "sasha"})
	published := publishedLogin(t)

	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	users, trusted, err := sshd.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	target := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: me.Username}}, TrustedUserCAs: []gossh.PublicKey{trusted}})
	config, err := gateway.SSH(target, me.Username, users, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool, logins := oidc.NewPool(t.Context()), devicelogin.New()
	t.Cleanup(pool.Close)
	t.Cleanup(logins.Close)
	config.Login, config.NewVerifier, config.DeviceLogins = published, provider.Snapshot(pool, nil), logins
	config.Policies = []policy.Policy{{
		Name: "sasha", UID: "uid-sasha", Generation: 1, Subjects: []policy.Subject{{Kind: "User", Name: "sasha"}},
		Rules: []policy.Rule{{Name: "all", Effect: policy.Allow, Actions: []string{"*", policy.ActionUnknown}, Resources: []string{"*"}}},
	}}
	g, err := gateway.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
	// The program that asks for the answer shows the question, and waits for the person.
	dir := t.TempDir()
	asked, answered := filepath.Join(dir, "asked"), filepath.Join(dir, "answered")
	script := "#!/bin/sh\nprintf '%s\\n' \"$1\" > " + asked + ".new && mv " + asked + ".new " + asked + "\nwhile ! test -e " + answered + "; do sleep 0.1; done\necho\n"
	if err := os.WriteFile(filepath.Join(dir, "askpass"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	decided := make(chan error, 1)
	go func() { decided <- follow(ctx, authority, asked, answered) }()
	command := exec.CommandContext(ctx, "ssh", "-F", "none", "-p", strconv.Itoa(g.Port), "-l", me.Username,
		"-o", "UserKnownHostsFile="+g.KnownHostsPath, "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlgorithms="+gossh.CertAlgoED25519v01,
		"-o", "IdentityAgent=none", "-o", "PreferredAuthentications=keyboard-interactive", g.Host, "echo through")
	command.Env = append(command.Environ(), "SSH_ASKPASS="+filepath.Join(dir, "askpass"), "SSH_ASKPASS_REQUIRE=force")
	out, err := command.CombinedOutput()
	if did := <-decided; err != nil || did != nil || !strings.HasSuffix(string(out), "through\n") {
		t.Fatalf("%v, the person: %v: %s", err, did, out)
	}
	if _, err := target.AwaitLog(ctx, "Accepted publickey for "+me.Username, "ED25519-CERT", "user=sasha"); err != nil {
		t.Error(err)
	}
	stop() // all sessions are over
	var all v1alpha1.GatewayCredentialList
	if err := admin.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Items {
		if one.Spec.Owner.Username == "sasha" {
			t.Errorf("credential %s outlives its session", one.Name)
		}
	}
}

// follow is a person who opens the link that was asked with, says yes, and answers.
func follow(ctx context.Context, authority []byte, asked, answered string) error {
	var question []byte
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		var missing error
		question, missing = os.ReadFile(asked)
		return missing == nil, nil
	})
	if err != nil {
		return err
	}
	_, link, _ := strings.Cut(string(question), "Open ")
	link, _, _ = strings.Cut(link, " ")
	c := person(authority)
	page, err := c.Get(link)
	if err != nil {
		return err
	}
	form, err := fill(page)
	if err != nil {
		return err
	}
	form.Set("provider", "portal")
	if page, err = c.PostForm("https://"+portal+"/device", form); err != nil {
		return err
	}
	if err := agree(c, page); err != nil {
		return err
	}
	return os.WriteFile(answered, nil, 0o600)
}

// fill is what a page's form sends as it is.
func fill(page *http.Response) (url.Values, error) {
	text, err := io.ReadAll(page.Body)
	_ = page.Body.Close()
	if err != nil {
		return nil, err
	}
	form := url.Values{}
	for _, found := range filled.FindAllStringSubmatch(string(text), -1) {
		form.Set(found[1], html.UnescapeString(found[2]))
	}
	return form, nil
}

var filled = regexp.MustCompile(`<input [^>]*name="([a-z_]+)" value="([^"]*)"`)

// publishedLogin is the snapshot that the manager publishes of a Connection, when it says how
// callers log in.
func publishedLogin(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	in := namespace(scripts[0])
	connection := &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "link-shell"},
		Spec: v1alpha1.ConnectionSpec{
			Protocol: "ssh", Targets: []v1alpha1.Target{{Host: "web.example", Port: 22}},
			Options:    &runtime.RawExtension{Raw: []byte(`{"hostKeys":["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"]}`)},
			Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialSecret, Secret: &v1alpha1.SecretReference{Name: "link-shell"}},
			Proxy: v1alpha1.Proxy{Placement: v1alpha1.PlacementExternal, External: &v1alpha1.ExternalProxy{
				ServerNames: []string{"localhost"}, Port: 2222,
			}},
		},
	}
	if err := admin.Create(t.Context(), connection); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Delete(context.WithoutCancel(t.Context()), connection) })
	var key corev1.ConfigMap
	var found *snapshot.Snapshot
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var secret corev1.Secret
		if admin.Get(ctx, client.ObjectKey{Namespace: operator.Namespace, Name: enrol.KeyConfigMapName}, &key) != nil ||
			admin.Get(ctx, client.ObjectKey{Namespace: in, Name: "doorward-link-shell-snapshot"}, &secret) != nil {
			return false, nil //nolint:nilerr // not yet
		}
		raw, err := base64.StdEncoding.DecodeString(key.Data[enrol.KeyConfigMapKey])
		if err != nil {
			return false, err
		}
		if found, err = snapshot.Open(secret.Data, raw); err != nil {
			return false, err
		}
		return found.Login.Portal.URL == "https://"+portal && strings.Contains(found.Login.Portal.CA, "CERTIFICATE"), nil
	})
	if err != nil {
		t.Fatalf("no snapshot says where the portal is: %v: %+v", err, found)
	}
	return found
}
