// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// The credentials of sinks are followed by name, and only where a sink has some.
func TestSinkSecrets(t *testing.T) {
	s := newSite(t)
	changed := make(chan struct{}, 100)
	secrets := NewSinkSecrets(s.proxy, s.namespace, connectionName, func() { changed <- struct{}{} })
	run(t, secrets.Run)
	await := func(what string) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(patience):
			t.Fatalf("in vain: %s", what)
		}
	}
	name := snapshot.SinkSecretName(connectionName)
	fails := func(when, says string) {
		t.Helper()
		eventually(t, when, func() bool {
			_, err := secrets.Get("siem")
			return err != nil && strings.Contains(err.Error(), name) && strings.Contains(err.Error(), says)
		})
	}
	fails("before it is wanted", "not been read")
	with := &snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "files", Type: "File"}, {Name: "siem", Type: "Webhook", Secret: true}}}
	secrets.Applied(&snapshot.Snapshot{Sinks: with.Sinks[:1]})
	secrets.Applied(with)
	fails("the Secret is missing", "does not exist")

	put := func(data map[string][]byte) {
		t.Helper()
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
		_, err := s.core.CoreV1().Secrets(s.namespace).Create(t.Context(), secret, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			_, err = s.core.CoreV1().Secrets(s.namespace).Update(t.Context(), secret, metav1.UpdateOptions{})
		}
		must(t, err)
	}
	holds := func(sink string, want map[string][]byte) {
		t.Helper()
		got, err := secrets.Get(sink)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("credentials of %q: -want +got:\n%s", sink, diff)
		}
	}
	put(map[string][]byte{"siem_password": []byte("one"), "siem_username": []byte("app"), "siem.eu_password": []byte("other")})
	await("the Secret is there")
	holds("siem", map[string][]byte{"password": []byte("one"), "username": []byte("app")})
	holds("siem.eu", map[string][]byte{"password": []byte("other")})
	holds("unknown", map[string][]byte{})
	put(map[string][]byte{"siem_password": []byte("two")})
	await("other credentials")
	holds("siem", map[string][]byte{"password": []byte("two")})
	must(t, s.core.CoreV1().Secrets(s.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
	await("the Secret is gone")
	fails("the Secret was deleted", "does not exist")

	// checklist 49: what no sink uses is not kept.
	put(map[string][]byte{"siem_password": []byte("three")})
	await("the Secret is back")
	secrets.Applied(&snapshot.Snapshot{})
	fails("no sink has credentials any more", "not been read")
}

// Without the right to read the Secret, the sink's error says so.
func TestSinkSecretsForbidden(t *testing.T) {
	s := newSite(t)
	secrets := NewSinkSecrets(s.proxy, s.namespace, "other", func() {})
	run(t, secrets.Run)
	secrets.Applied(&snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "siem", Secret: true}}})
	eventually(t, "the reason", func() bool {
		_, err := secrets.Get("siem")
		return err != nil && strings.Contains(err.Error(), "forbidden")
	})
}

// The report says how sinks take the records: at once when one fails, and every
// few seconds while records wait.
func TestReportOfSinks(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	sinks := []report.Sink{{Name: "siem", Reachable: true}}
	set := func(now report.Sink) {
		mu.Lock()
		defer mu.Unlock()
		sinks = []report.Sink{now}
	}
	r := s.reporter("one")
	r.Sinks = func() []report.Sink {
		mu.Lock()
		defer mu.Unlock()
		return sinks
	}
	must(t, r.Claim(t.Context()))
	run(t, r.Run)
	reports := func(what string, want report.Sink) {
		t.Helper()
		eventually(t, what, func() bool {
			got, found := s.reported()
			return found && cmp.Equal([]report.Sink{want}, got.Sinks)
		})
	}
	reports("the sink", report.Sink{Name: "siem", Reachable: true})
	failing := report.Sink{Name: "siem", Lag: 3, Error: "connection refused"}
	set(failing)
	reports("the failure", failing)
	failing.Lag = 99
	set(failing)
	reports("more records that wait", failing)
	recovered := report.Sink{Name: "siem", Reachable: true, AcknowledgedAt: time.Unix(1800000000, 0).UTC()}
	set(recovered)
	reports("the recovery", recovered)
}
