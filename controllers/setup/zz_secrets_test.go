// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/testenv"
)

// TestCredentialsUntouched runs after all others, by the name of its file: the
// manager of this suite never asked for a credential Secret, and where it watches
// Secrets it asks for metadata only. checklist 49.
func TestCredentialsUntouched(t *testing.T) {
	create(t, credential("rights", "untouched"))
	manager.stop() // everything it does is in the log now
	events, err := env.AuditEvents(testenv.ByUser("system:serviceaccount:doorward-system:doorward-manager"), testenv.OnResource("secrets"))
	if err != nil {
		t.Fatal(err)
	}
	if len(events) == 0 {
		t.Fatal("no event about Secrets: the suite shows nothing")
	}
	for _, e := range events {
		if strings.HasSuffix(e.ObjectRef.Name, "-credential") {
			t.Errorf("%s of credential Secret: %s", e.Verb, e.RequestURI)
		}
		if strings.Contains(string(e.ResponseObject), canary) {
			t.Errorf("%s got a credential: %s", e.Verb, e.RequestURI)
		}
		if e.Verb == "list" {
			var object struct {
				Kind string `json:"kind"`
			}
			if err := json.Unmarshal(e.ResponseObject, &object); err != nil || object.Kind != "PartialObjectMetadataList" {
				t.Errorf("list of Secrets as %q: %s", object.Kind, e.RequestURI)
			}
		}
	}
	// The audit log does not show what a watch asked for; the requests do.
	secretRequests.Lock()
	defer secretRequests.Unlock()
	for _, r := range secretRequests.all {
		collection := strings.HasSuffix(r.path, "/secrets")
		if collection && r.method == http.MethodGet && !strings.Contains(r.accept, "as=PartialObjectMetadata") {
			t.Errorf("list or watch of Secrets with Accept %q", r.accept)
		}
	}
}
