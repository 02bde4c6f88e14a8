// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto"
	"os/user"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/sshd"
)

func public(t *testing.T, key crypto.PrivateKey) ssh.PublicKey {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}

// enter logs in at sshd with a credential and returns what whoami says there.
func enter(t *testing.T, server *sshd.Server, secret *Secret, l SSHLogin) (string, error) {
	t.Helper()
	var methods []ssh.AuthMethod
	signer, err := secret.SSHSigner(l)
	if err != nil {
		t.Fatal(err)
	}
	if signer != nil {
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if password := secret.Password.Reveal(); password != "" {
		methods = append(methods, ssh.Password(password))
	}
	client, err := ssh.Dial("tcp", server.Address(), &ssh.ClientConfig{User: l.User, Auth: methods, HostKeyCallback: ssh.FixedHostKey(server.HostKey)})
	if err != nil {
		return "", err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	out, err := session.Output("id -un")
	return strings.TrimSpace(string(out)), err
}

// TestSSHD shows the credentials to a real sshd: who is let in as whom, and whom
// sshd's own log names.
func TestSSHD(t *testing.T) {
	rsaAuthority, authority, own, foreign := crypto.PrivateKey(rsaKey(3072)), edKey(t), edKey(t), edKey(t)
	rsaOwn := crypto.PrivateKey(rsaKey(4096))
	server := sshd.StartT(t, sshd.Options{
		Accounts: []sshd.Account{
			{Name: "deploy", AuthorizedKeys: []ssh.PublicKey{public(t, own), public(t, rsaOwn)}},
			{Name: "operator", Password: canary},
			{Name: "both", Password: canary, AuthorizedKeys: []ssh.PublicKey{public(t, own)}},
		},
		TrustedUserCAs: []ssh.PublicKey{public(t, authority), public(t, rsaAuthority)},
		Config:         []string{"Match User both", "AuthenticationMethods publickey,password", "Match all"},
	})
	keyID := "user=alice%20%22x%22 provider=corp session=data/web-bcdfgh0123456789"
	long := "user=" + strings.Repeat("a", maxKeyID-len("user=")-len(" session=data/web-1")) + " session=data/web-1"
	as := func(user string) SSHLogin { return login(func(l *SSHLogin) { l.User, l.KeyID = user, keyID }) }
	for name, tc := range map[string]struct {
		reason string
		secret Secret
		login  SSHLogin
		denied bool
		logged []string
	}{
		"Key":             {reason: "a stored private key", secret: Secret{SSHKey: keyOf(t, own)}, login: as("deploy"), logged: []string{"Accepted publickey for deploy", "ED25519"}},
		"RSA":             {reason: "signs with SHA-2", secret: Secret{SSHKey: keyOf(t, rsaOwn)}, login: as("deploy"), logged: []string{"Accepted publickey for deploy", "RSA"}},
		"Password":        {reason: "a password", secret: Secret{Password: NewPassword(canary)}, login: as("operator"), logged: []string{"Accepted password for operator"}},
		"KeyAndPassword":  {reason: "a target that asks for both", secret: Secret{SSHKey: keyOf(t, own), Password: NewPassword(canary)}, login: as("both"), logged: []string{"Accepted password for both"}},
		"KeyAlone":        {reason: "a target that asks for both", secret: Secret{SSHKey: keyOf(t, own)}, login: as("both"), denied: true, logged: []string{"Partial publickey for both"}},
		"Authority":       {reason: "the target's log names the caller", secret: Secret{SSHAuthority: keyOf(t, authority)}, login: as("deploy"), logged: []string{"Accepted publickey for deploy", "ED25519-CERT", "ID " + keyID + " (serial "}},
		"LongKeyID":       {reason: "the longest is logged whole", secret: Secret{SSHAuthority: keyOf(t, authority)}, login: login(func(l *SSHLogin) { l.User, l.KeyID = "deploy", long }), logged: []string{"Accepted publickey for deploy", "ID " + long + " (serial "}},
		"RSAAuthority":    {reason: "an authority of another kind", secret: Secret{SSHAuthority: keyOf(t, rsaAuthority)}, login: as("operator"), logged: []string{"Accepted publickey for operator", "ID " + keyID, "CA RSA"}},
		"ForeignKey":      {reason: "not authorized", secret: Secret{SSHKey: keyOf(t, foreign)}, login: as("deploy"), denied: true, logged: []string{"Failed publickey for deploy"}},
		"ForeignAuth":     {reason: "not trusted", secret: Secret{SSHAuthority: keyOf(t, foreign)}, login: as("deploy"), denied: true, logged: []string{"Failed publickey for deploy", "ED25519-CERT"}},
		"WrongPassword":   {reason: "not his", secret: Secret{Password: NewPassword("another")}, login: as("operator"), denied: true, logged: []string{"Failed password for operator"}},
		"Expired":         {reason: "it was for minutes", secret: Secret{SSHAuthority: keyOf(t, authority)}, login: login(func(l *SSHLogin) { l.User, l.Until, l.From = "deploy", l.From, l.From.Add(-60e9) }), denied: true, logged: []string{"Certificate invalid: expired"}},
		"NotYet":          {reason: "a target whose clock is far behind", secret: Secret{SSHAuthority: keyOf(t, authority)}, login: login(func(l *SSHLogin) { l.User, l.From, l.Until = "deploy", l.Until, l.Until.Add(60e9) }), denied: true, logged: []string{"Certificate invalid: not yet valid"}},
		"NobodyOfTheName": {reason: "a role that the target does not have", secret: Secret{SSHAuthority: keyOf(t, authority)}, login: as("ghost"), denied: true, logged: []string{"Invalid user ghost"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := enter(t, server, &tc.secret, tc.login)
			if tc.denied != (err != nil) || !tc.denied && got != tc.login.User {
				t.Errorf("%s: in as %q, %v", tc.reason, got, err)
			}
			if _, err := server.AwaitLog(t.Context(), tc.logged...); err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

// oneself is who runs the test, whom any sshd can let in.
func oneself(t *testing.T) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Username
}

// TestSSHDPrincipal: a certificate for one account does not open another, which is
// what sshd itself says.
func TestSSHDPrincipal(t *testing.T) {
	authority, me := edKey(t), oneself(t)
	server := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: me}}, TrustedUserCAs: []ssh.PublicKey{public(t, authority)}})
	for _, principal := range []string{me, "another"} {
		signer, err := (&Secret{SSHAuthority: keyOf(t, authority)}).SSHSigner(login(func(l *SSHLogin) { l.User = principal }))
		if err != nil {
			t.Fatal(err)
		}
		client, err := ssh.Dial("tcp", server.Address(), &ssh.ClientConfig{
			User: me, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(server.HostKey),
		})
		if (principal == me) != (err == nil) {
			t.Errorf("%s with a certificate for %s: %v", me, principal, err)
		}
		if err == nil {
			client.Close()
		}
	}
	for _, text := range []string{"Certificate invalid: name is not a listed principal", "ID user=alice provider=corp session=data/web-1 (serial "} {
		if _, err := server.AwaitLog(t.Context(), text); err != nil {
			t.Error(err)
		}
	}
}

// TestSSHDExtensions: sshd gives a session what its certificate permits, and
// nothing else.
func TestSSHDExtensions(t *testing.T) {
	authority, me := edKey(t), oneself(t)
	server := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: me}}, TrustedUserCAs: []ssh.PublicKey{public(t, authority)}})
	secret := Secret{SSHAuthority: keyOf(t, authority)}
	for name, tc := range map[string]struct {
		reason       string
		extensions   []string
		pty, forward bool
	}{
		"None":    {reason: "nothing was asked for"},
		"Pty":     {reason: "a terminal was", extensions: []string{"permit-pty"}, pty: true},
		"Forward": {reason: "a forward was", extensions: []string{"permit-port-forwarding"}, forward: true},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := secret.SSHSigner(login(func(l *SSHLogin) { l.User, l.Extensions = me, tc.extensions }))
			if err != nil {
				t.Fatal(err)
			}
			client, err := ssh.Dial("tcp", server.Address(), &ssh.ClientConfig{
				User: me, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(server.HostKey),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			session, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if err := session.RequestPty("xterm", 24, 80, nil); tc.pty != (err == nil) {
				t.Errorf("%s: a terminal: %v", tc.reason, err)
			}
			conn, err := client.Dial("tcp", server.Address())
			if tc.forward != (err == nil) {
				t.Errorf("%s: a forward: %v", tc.reason, err)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}
