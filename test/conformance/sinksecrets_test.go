// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// talkative answers each request with what it was sent, and with what draws on
// a terminal and forges lines of a log.
func talkative(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "\x1b[2K\r\nforged=line\u202e\x00 %q", r.Header)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// sinkCanaries are the credentials of the LogSinks of TestSecretsOfSinks.
var sinkCanaries = map[string]string{
	"signing":  "whsec_" + base64.StdEncoding.EncodeToString([]byte("canary-signing-key-of-a-webhook!")),
	"header":   "canary-header-of-otlp",
	"webhook":  "canary-header-of-a-webhook",
	"s3":       "canary-secret-key-of-s3",
	"s3token":  "canary-session-token-of-s3",
	"kafka":    "canary-password-of-kafka",
	"role":     "canary-password-of-a-role",
	"literal":  "canary-password-in-a-connection-string",
	"password": "canary-password-at-the-door",
}

// hostileSinks are LogSinks whose servers refuse everything, with credentials.
func hostileSinks(address string) string {
	host := strings.TrimPrefix(address, "http://")
	sink := func(name, keys, spec string) string {
		return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {namespace: %s, name: hostile-%s}
type: doorward.dev/sink-credential
stringData: %s
---
apiVersion: doorward.dev/v1alpha1
kind: LogSink
metadata: {name: hostile-%s}
spec: {secret: {name: hostile-%s}, tls: {mode: Disabled}, %s}
`, stack.OperatorNamespace, name, keys, name, name, spec)
	}
	return strings.Join([]string{
		sink("webhook", fmt.Sprintf(`{signingKey: %q, headers: "Authorization: Bearer %s"}`, sinkCanaries["signing"], sinkCanaries["webhook"]),
			fmt.Sprintf("type: Webhook, webhook: {url: %q}", address+"/records")),
		sink("otlp", fmt.Sprintf(`{headers: "X-Api-Key: %s"}`, sinkCanaries["header"]),
			fmt.Sprintf("type: OTLP, otlp: {endpoint: %q, protocol: HTTP}", address)),
		sink("s3", fmt.Sprintf(`{accessKeyID: id, secretAccessKey: %q, sessionToken: %q}`, sinkCanaries["s3"], sinkCanaries["s3token"]),
			fmt.Sprintf("type: S3, s3: {endpoint: %q, region: here, bucket: records}", address)),
		sink("kafka", fmt.Sprintf(`{username: proxy, password: %q}`, sinkCanaries["kafka"]),
			fmt.Sprintf("type: Kafka, kafka: {brokers: [%q], topic: records, sasl: SCRAM-SHA-256}", host)),
	}, "---\n")
}

// TestSecretsOfSinks is checklist 47 and 48: what sinks prove themselves with,
// and passwords in statements and at the door, are in no record, log, status,
// event, report or snapshot, also where a sink's server says them back; and what
// such a server says breaks no line and draws on no terminal.
func TestSecretsOfSinks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	var objects []client.Object
	for _, text := range strings.Split(hostileSinks(talkative(t)), "---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
			t.Fatal(err)
		}
		var object client.Object = &v1alpha1.LogSink{}
		if kind.Kind == "Secret" {
			object = &corev1.Secret{}
		}
		if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
			t.Fatal(err)
		}
		if err := suite.Admin.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	t.Cleanup(func() {
		for _, object := range objects {
			if err := suite.Admin.Delete(context.Background(), object); err != nil {
				t.Error(err)
			}
		}
	})

	c := newCaller(t, "developers")
	c.psql("ALTER ROLE shop_service PASSWORD '" + sinkCanaries["role"] + "';\n" +
		"INSERT INTO orders (status) VALUES ('postgres://a:" + sinkCanaries["literal"] + "@db/x password=" + sinkCanaries["literal"] + "');\n" +
		"ALTER ROLE shop_service PASSWORD $q$" + sinkCanaries["role"] + "$q$ nonsense;\n")
	runPsql(t, environment(sinkCanaries["password"]), through(), "SELECT 1")

	for _, name := range []string{"webhook", "otlp", "s3", "kafka"} {
		err := stack.Await(ctx, func(ctx context.Context) error {
			var s v1alpha1.LogSink
			if err := suite.Admin.Get(ctx, client.ObjectKey{Name: "hostile-" + name}, &s); err != nil {
				return err
			}
			status, err := json.Marshal(s.Status)
			if err != nil || !bytes.Contains(status, []byte("cannot")) {
				return errors.Join(err, fmt.Errorf("its status tells no error yet: %s", status))
			}
			for _, condition := range s.Status.Conditions {
				checkPrintable(t, "LogSink "+name, condition.Message)
			}
			return nil
		})
		if err != nil {
			t.Errorf("LogSink hostile-%s: %v", name, err)
		}
	}
	secrets := maps.Clone(sinkCanaries)
	secrets["token"] = c.token
	for what, secret := range secrets {
		for _, where := range places(ctx, t, secret) {
			t.Errorf("the secret %q is in %s", what, where)
		}
	}
	// What is no secret is found, so the search finds: sooner or later, for sessions are reported
	// and lines of logs written beside what they tell of.
	for text, want := range map[string][]string{
		c.user: {suite.Records(), "AuditSessionList"}, "hostile-otlp": {"Secret shop/", "LogSinkList", suite.Logs()},
	} {
		err := stack.Await(ctx, func(ctx context.Context) error {
			found := strings.Join(places(ctx, t, text), "\n")
			for _, where := range want {
				if !strings.Contains(found, where) {
					return fmt.Errorf("not found in %s, only in:\n%s", where, found)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func checkPrintable(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if !unicode.IsPrint(r) {
			t.Errorf("%s shows %q in %q", what, r, text)
		}
	}
}

// places are where a text is, out of all places where a secret must not be.
func places(ctx context.Context, t *testing.T, secret string) (found []string) {
	t.Helper()
	forms := [][]byte{[]byte(secret), []byte(base64.StdEncoding.EncodeToString([]byte(secret)))}
	search := func(where string, content []byte) {
		for _, form := range forms {
			if bytes.Contains(content, form) {
				found = append(found, where)
				return
			}
		}
	}
	for _, dir := range []string{suite.Logs(), suite.Records(), filepath.Join(suite.Dir, "proxies")} {
		if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			// Segments go away while they are searched.
			if err != nil || !entry.Type().IsRegular() {
				return ignoreGone(err)
			}
			content, err := os.ReadFile(path)
			search(path, content)
			return ignoreGone(err)
		}); err != nil {
			t.Errorf("cannot search: %v", err)
		}
	}
	for _, list := range []client.ObjectList{
		&v1alpha1.ConnectionList{}, &v1alpha1.AccessPolicyList{}, &v1alpha1.ApprovalRequestList{}, &v1alpha1.AuditSessionList{},
		&v1alpha1.AuditLogList{}, &v1alpha1.IdentityProviderList{}, &v1alpha1.LogSinkList{}, &corev1.EventList{}, &corev1.ConfigMapList{},
	} {
		if err := suite.Admin.List(ctx, list); err != nil {
			t.Errorf("cannot search: %v", err)
			continue
		}
		content, err := json.Marshal(list)
		if err != nil {
			t.Errorf("cannot search: %v", err)
		}
		search(fmt.Sprintf("a %T", list), content)
	}
	var secrets corev1.SecretList
	if err := suite.Admin.List(ctx, &secrets); err != nil {
		t.Errorf("cannot search: %v", err)
	}
	for _, s := range secrets.Items {
		// The LogSink's own, and the copy that the Connection's proxies read.
		if s.Namespace == stack.OperatorNamespace && strings.HasPrefix(s.Name, "hostile-") || strings.HasSuffix(s.Name, "-sinks") {
			continue
		}
		for key, value := range s.Data {
			if zip, err := gzip.NewReader(bytes.NewReader(value)); err == nil { // a snapshot
				if value, err = io.ReadAll(zip); err != nil {
					t.Errorf("cannot search: %v", err)
				}
			}
			search(fmt.Sprintf("Secret %s/%s, key %q", s.Namespace, s.Name, key), value)
		}
	}
	return found
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
