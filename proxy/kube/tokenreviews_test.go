// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/proxy/identity"
)

// reviewServer is an API server that takes the token "good" and says why it takes no other.
func reviewServer(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review := &authenticationv1.TokenReview{}
		if err := json.NewDecoder(r.Body).Decode(review); err != nil {
			t.Error(err)
		}
		review.APIVersion, review.Kind = "authentication.k8s.io/v1", "TokenReview"
		review.Status.Authenticated = review.Spec.Token != "junk"
		if review.Spec.Token != "good" {
			review.Status.Error = "canary: webhook https://10.0.0.1/authn says no"
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, nil)
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

// TestReviewErrorsAreForOperators: checklist 49: what authenticators say is logged, bounded,
// and told to nobody.
func TestReviewErrorsAreForOperators(t *testing.T) {
	var mu sync.Mutex
	var logged []string
	client := reviewServer(t)
	reviews := NewTokenReviews(client, client, funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, args)
	}, funcr.Options{}))
	for token, want := range map[string]string{"good": "", "junk": "", "odd": "the proxy's own log has it"} {
		status, err := reviews.ReviewToken(t.Context(), token, nil)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", token, err, want)
		}
		if text := fmt.Sprint(status, err); strings.Contains(text, "canary") {
			t.Errorf("%s: the caller is told: %s", token, text)
		}
		if err == nil && status.Authenticated != (token == "good") {
			t.Errorf("%s: %+v", token, status)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(logged) != 1 || !strings.Contains(logged[0], "canary") {
		t.Errorf("logged %q, want the reason once: whoever sends junk does not write the log", logged)
	}
}

// TestReviewShares: checklist 4: hosts with junk tokens wait for their own turns; others,
// and live sessions, do not wait for them.
func TestReviewShares(t *testing.T) {
	client := reviewServer(t)
	reviews := NewTokenReviews(client, client, funcr.New(func(_, _ string) {}, funcr.Options{}))
	junk, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	waiting := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		return reviews.turns.Wait(ctx, "probe", "probe") != nil
	}
	// Of six hosts, more than the API server is asked in a minute.
	for i := range 60 * strangerReviews {
		from := identity.WithClient(junk, fmt.Sprintf("10.0.%d.66", i%6))
		flood.Go(func() { _, _ = reviews.ReviewToken(from, "junk", nil) })
	}
	for look := time.NewTicker(time.Millisecond); !waiting(); {
		<-look.C
	}
	for _, host := range []string{"192.0.2.7", "2001:db8::7", ""} {
		// In one queue with the flood it would wait for a minute, and the context ends before.
		ctx, cancel := context.WithTimeout(identity.WithClient(t.Context(), host), 30*time.Second)
		if _, err := reviews.ReviewToken(ctx, "good", nil); err != nil {
			t.Errorf("host %q: %v", host, err)
		}
		cancel()
	}
	stop()
	flood.Wait()
}
