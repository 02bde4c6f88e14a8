// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/sshhost"
	"github.com/doorward/doorward/test/testcert"
)

// publish makes what the manager would have made for an External Connection of SSH, and returns
// its host key.
func publish(t *testing.T, core kubernetes.Interface, signing ed25519.PrivateKey, space, name, target string) ssh.PublicKey {
	t.Helper()
	file := filepath.Join(t.TempDir(), "connection.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `{apiVersion: doorward.dev/v1alpha1, kind: Connection, metadata: {name: %s, namespace: %s},
spec: {protocol: ssh, targets: [{host: 127.0.0.1, port: 22}], credential: {type: Secret, secret: {name: %s}}, options: {hostKeys: [%q]},
proxy: {placement: External, external: {serverNames: [%s.example.com]}}}}`, name, space, name, target, name), 0o600))
	must(t, env.Apply(t.Context(), file))
	uid, err := env.Kubectl(t.Context(), env.Direct, "-n", space, "get", "connection", name, "-o", "jsonpath={.metadata.uid}")
	must(t, err)
	_, err = core.CoreV1().ConfigMaps(space).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "doorward-" + name + "-proxies"}}, metav1.CreateOptions{})
	must(t, err)
	secret := func(object string, kind corev1.SecretType, data map[string][]byte) {
		_, err := core.CoreV1().Secrets(space).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: object}, Type: kind, Data: data}, metav1.CreateOptions{})
		must(t, err)
	}
	secret(name, v1alpha1.SecretTypeCredential, map[string][]byte{
		"username": []byte("app"), "password": []byte("canary-password"), "connection": []byte(name), "addresses": []byte("127.0.0.1:22"),
	})
	ca, err := testcert.NewCA("test")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: name, DNSNames: []string{name + ".example.com"}})
	must(t, err)
	key := sshhost.Key(t)
	secret("doorward-"+name+"-serving", corev1.SecretTypeTLS, map[string][]byte{
		corev1.TLSCertKey: pair.CertPEM, corev1.TLSPrivateKeyKey: pair.KeyPEM,
		hostkey.PrivateKey: key, hostkey.Certificate: sshhost.NewAuthority(t).Certify(t, key, name+".example.com"),
	})
	data, err := snapshot.Seal(snapshot.Snapshot{
		Schema: snapshot.Schema, Revision: 1, Time: time.Now().UTC(), Connection: snapshot.Connection{Namespace: space, Name: name, UID: uid, Generation: 1},
		Protocol: "ssh", Options: fmt.Appendf(nil, `{"hostKeys":[%q]}`, target), Targets: []snapshot.Target{{Host: "127.0.0.1", Port: 22}},
		TLS: snapshot.TLS{Mode: "VerifyFull"}, Credential: snapshot.Credential{Type: "Secret", Secret: name}, MaxStalenessSeconds: 300,
	}, signing)
	must(t, err)
	beat, err := snapshot.SealHeartbeat(snapshot.Heartbeat{UID: uid, Revision: 1, Time: time.Now().UTC()}, signing)
	must(t, err)
	maps.Copy(data, beat)
	secret("doorward-"+name+"-snapshot", v1alpha1.SecretTypeSnapshot, data)
	signer, err := ssh.ParsePrivateKey(key)
	must(t, err)
	return signer.PublicKey()
}

// TestServeByName: a process serves several Connections of SSH, each at an address of its own, which
// shows its own host key; --by-name has one of them answer at the other's address too, and no other.
func TestServeByName(t *testing.T) {
	core, err := clientset(t)
	must(t, err)
	_, signing, err := ed25519.GenerateKey(nil)
	must(t, err)
	const space = "many"
	_, err = core.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space}}, metav1.CreateOptions{})
	must(t, err)
	host, err := ssh.ParsePrivateKey(sshhost.Key(t))
	must(t, err)
	target := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey())))
	keys := map[string]ssh.PublicKey{}
	o := options{
		connections: []string{space + "/web", space + "/db"}, listen: map[string]string{}, byName: map[string]bool{space + "/db": true},
		kubeconfig: env.Kubeconfig, snapshotKey: signing.Public().(ed25519.PublicKey), spool: filepath.Join(t.TempDir(), "spool"), instance: "proxy-0",
		drainTimeout: time.Second, healthAddress: port(t),
	}
	for _, name := range []string{"web", "db"} {
		keys[name] = publish(t, core, signing, space, name, target)
		o.listen[space+"/"+name] = port(t)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, o, logr.Discard()) }()
	defer stop()
	become(t, o.healthAddress, func(code int, _ string) bool { return code == http.StatusOK })
	type arrival struct{ Connection, Listener string }
	var want []arrival
	for _, attempt := range []struct {
		address, user string
		want          arrival
	}{
		{"web", "deploy+web", arrival{"web", ""}},
		{"web", "deploy+db", arrival{"db", space + "/web"}},
		{"db", "deploy+web", arrival{"db", ""}}, // nobody is led to web
	} {
		_, err := ssh.Dial("tcp", o.listen[space+"/"+attempt.address], &ssh.ClientConfig{
			User: attempt.user, Auth: []ssh.AuthMethod{ssh.Password("not-a-token")}, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
			HostKeyCallback: ssh.FixedHostKey(keys[attempt.address]), Timeout: time.Minute,
		})
		if err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
			t.Errorf("%s at the address of %s: %v, want that the token is refused, after the address's own host key", attempt.user, attempt.address, err)
		}
		want = append(want, attempt.want)
	}
	stop()
	must(t, <-done)
	var got []arrival
	for r, err := range spool.Records(o.spool) {
		must(t, err)
		d, err := record.Decode(r.JSON)
		must(t, err)
		if d.Type != record.AuthenticationFailed {
			continue
		}
		a := arrival{Connection: d.Connection.Name}
		for _, attribute := range d.Attributes {
			if attribute.Name == "listener" {
				a.Listener = attribute.Value
			}
		}
		got = append(got, a)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("where refusals are on record, -want +got:\n%s", diff)
	}
}
