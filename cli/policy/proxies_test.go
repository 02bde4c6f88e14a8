// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// TestBoundsOfQuestions: however many Connections there are and however long their proxies
// take, some are asked at a time, each for so long, and what was not asked says so.
func TestBoundsOfQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, asked atomic.Int32
		p := &Proxies{rights: func(ctx context.Context, c *v1alpha1.Connection) Rights {
			asked.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			if c.Name == "c-0" {
				return Rights{Connect: policy.Allow}
			}
			<-ctx.Done() // one that never answers
			return Rights{Err: unanswered("no answer in time", "%w", ctx.Err())}
		}}
		connections := make([]*v1alpha1.Connection, 250)
		for i := range connections {
			connections[i] = &v1alpha1.Connection{}
			connections[i].Namespace, connections[i].Name = "shop", "c-"+strconv.Itoa(i)
		}
		began := time.Now()
		all := p.Rights(t.Context(), connections)
		if took, want := time.Since(began), (MostAsked/atOnce+1)*eachTimeout; took > want {
			t.Errorf("it took %s, want %s at most", took, want)
		}
		if most.Load() != atOnce || asked.Load() != MostAsked || len(all) != len(connections) {
			t.Errorf("%d at once of %d, %d answers", most.Load(), asked.Load(), len(all))
		}
		for i := range connections {
			got, want := all[client.ObjectKey{Namespace: "shop", Name: "c-" + strconv.Itoa(i)}], "no answer in time"
			if i >= MostAsked {
				want = "not asked"
			}
			why := (*Unanswered)(nil)
			if i == 0 && got.Err != nil || i > 0 && (!errors.As(got.Err, &why) || why.Short != want || why.Refused) {
				t.Errorf("c-%d: %+v", i, got)
			}
		}
	})
}

// TestRightsOf: what a proxy lists in our words; what is not known permits nothing.
func TestRightsOf(t *testing.T) {
	cases := map[string]struct {
		reason string
		status wire.RulesStatus
		want   Rights
	}{
		"None": {"no session", wire.RulesStatus{Connect: "Deny", Message: "not you"}, Rights{Connect: policy.Deny, Message: "not you"}},
		"Rules": {
			"actions once, sorted",
			wire.RulesStatus{Connect: "Allow", Rules: []wire.Rule{
				{Effect: "Allow", Actions: []string{"select", "insert"}}, {Effect: "Allow", Actions: []string{"select"}}, {Effect: "RequireApproval", Actions: []string{"delete"}},
			}, Restricted: true, Incomplete: true},
			Rights{Connect: policy.Allow, Allowed: []string{"insert", "select"}, Approval: []string{"delete"}, Module: true, Restricted: true},
		},
		"Later": {
			"a later version's words", wire.RulesStatus{Connect: "Perhaps", Rules: []wire.Rule{{Effect: "Sometimes", Actions: []string{"drop"}}}}, Rights{Connect: policy.Deny},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, rightsOf(&tc.status)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

// TestQuestions: a proxy is asked beside where it serves.
func TestQuestions(t *testing.T) {
	for endpoint, want := range map[string]string{
		"doorward-db.shop.svc:5432": "doorward-db.shop.svc:8444", "doorward-db.shop.svc:8444": "doorward-db.shop.svc:8445",
		"[2001:db8::1]:443": "[2001:db8::1]:8444", "": "", "db.example": "", "db.example:none": "",
	} {
		c := &v1alpha1.Connection{}
		c.Status.Endpoint = endpoint
		got, err := questions(c)
		if why := (*Unanswered)(nil); got != want || (want == "") != errors.As(err, &why) {
			t.Errorf("%q: %q, %v, want %q", endpoint, got, err, want)
		}
	}
}
