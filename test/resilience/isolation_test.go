// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestForeignLogin is checklist 52: somebody who has the stored credential goes round
// the proxy, under a name copied from a session that runs, and is told of: by a record,
// an Event and the Connection's condition. Sessions through the proxy never are.
func TestForeignLogin(t *testing.T) {
	live := login(t, alice)
	name := live.Must(t, "SELECT current_setting('application_name')")[0]
	credential := secret(t, credentialSecret)
	config, err := pgx.ParseConfig(world.Postgres.DSN(stack.Role, string(credential.Data["password"]), "shop"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = name
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	thief, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = thief.Close(context.WithoutCancel(t.Context())) }()
	var pid int
	if err := thief.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	is := func(d record.Document) bool {
		if d.Type != record.ForeignLogin {
			return false
		}
		for _, a := range d.Attributes {
			if a.Name == "login" && strings.HasPrefix(a.Value, fmt.Sprintf("%d/", pid)) {
				return true
			}
		}
		return false
	}
	// A look every half minute, and half a minute in which it might be a session that is being opened.
	for attempt := 0; ; attempt++ {
		took, err := func() (time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
			defer cancel()
			err := stack.Await(ctx, func(context.Context) error { _, err := found(is); return err })
			return time.Since(began), err
		}()
		if err == nil {
			t.Logf("found %s after it logged in", took.Round(time.Second))
			break
		}
		if attempt == 1 {
			t.Fatal(err)
		}
	}
	await(t, "the condition", func(ctx context.Context) error {
		_, err := conditionIs(ctx, v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonForeignLogins)
		return err
	})
	await(t, "the Event", func(ctx context.Context) error {
		var events corev1.EventList
		if err := world.Admin.List(ctx, &events, client.InNamespace(stack.Namespace)); err != nil {
			return err
		}
		for i := range events.Items {
			if e := &events.Items[i]; e.Reason == "ForeignLogin" && strings.Contains(e.Message, "did not make it") {
				if strings.Contains(e.Message, string(credential.Data["password"])) || strings.Contains(e.Message, stack.Role) {
					return fmt.Errorf("the Event tells of the credential: %q", e.Message)
				}
				return nil
			}
		}
		return fmt.Errorf("no Event among %d", len(events.Items))
	})
	all, err := records()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.Type == record.ForeignLogin && !is(d) {
			t.Errorf("somebody else was taken for foreign: %+v", d)
		}
	}
	live.Must(t, "SELECT 1")
}
