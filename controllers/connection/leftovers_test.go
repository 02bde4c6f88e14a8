// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"strings"
	"testing"

	"k8s.io/client-go/tools/events"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

// TestLeftovers is checklist 44: records that nobody delivers any more are told of,
// with the place where they are.
func TestLeftovers(t *testing.T) {
	statefulSet := func() *v1alpha1.Connection {
		c := &v1alpha1.Connection{}
		c.Namespace, c.Name, c.Spec.Proxy.Placement = "shop-access", "shop", v1alpha1.PlacementManaged
		c.Spec.Proxy.Managed = &v1alpha1.ManagedProxy{Replicas: 2, Spool: &v1alpha1.SpoolVolume{}}
		return c
	}
	deployment := statefulSet()
	deployment.Spec.Proxy.Managed.Spool = nil
	external := statefulSet()
	external.Spec.Proxy = v1alpha1.Proxy{Placement: v1alpha1.PlacementExternal}
	behind := []report.Sink{{Name: "archive", Lag: 7}, {Name: "files"}}
	tests := map[string]struct {
		reason     string
		connection *v1alpha1.Connection
		instance   string
		sinks      []report.Sink
		want       string // part of the Event; empty for none
	}{
		"ScaledAway": {"No pod mounts the claim any more.", statefulSet(), "doorward-shop-2", behind, `"spool-doorward-shop-2", which no pod uses; set proxy.managed.replicas to 3`},
		"NotBack":    {"Its pod comes back by itself.", statefulSet(), "doorward-shop-1", behind, `"spool-doorward-shop-1" and are delivered when its pod is back`},
		"Delivered":  {"Nothing is missing anywhere.", statefulSet(), "doorward-shop-2", []report.Sink{{Name: "archive"}}, ""},
		"EmptyDir":   {"The pod's log is gone.", deployment, "doorward-shop-7c9f-x2x9z", behind, "emptyDir"},
		"External":   {"The log is where it was.", external, "edge-1", behind, "--spool"},
		"Foreign":    {"An id that no StatefulSet gave.", statefulSet(), "doorward-shop-x", behind, "when its pod is back"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(8)
			r := New(Options{Events: recorder})
			text, err := report.Encode(report.Report{Instance: tc.instance, Sinks: tc.sinks})
			if err != nil {
				t.Fatal(err)
			}
			r.warnOfLeftovers(&scope{connection: tc.connection}, map[string]string{tc.instance: text, "nobody": "no report"})
			close(recorder.Events)
			got := ""
			for event := range recorder.Events {
				got += event
			}
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) || tc.want != "" && !strings.Contains(got, `LogSink "archive" lacked 7`) {
				t.Errorf("%s Event %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
