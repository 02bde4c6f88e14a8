// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// granted is a Road on a real Grant: how little is between them.
type granted struct {
	grant *access.Grant
	told  func(access.Notice)
}

func (g granted) Decide(ctx context.Context, op *Operation) (Permit, error) {
	ask := access.Ask{
		Operation: record.Operation{Protocol: "ssh", Kind: op.Kind, Statement: op.Statement, Accesses: op.Accesses, Properties: op.Properties},
		ReadOnly:  op.ReadOnly, Hold: g.told, Unmetered: op.Kind != "open" && op.Kind != "opendir",
		CheckMasks: func(rules mask.Rules) error {
			if rules.Empty() {
				return nil
			}
			return errors.New("files are not masked")
		},
	}
	if op.Refuse != nil {
		ask.Refuse = &access.Refusal{Reason: access.ReasonProtocol, Code: op.Refuse.Status.String(), Message: op.Refuse.Message}
	}
	permit, err := g.grant.Decide(ctx, ask)
	if err != nil {
		return nil, denial(err)
	}
	return grantedPermit{permit}, nil
}

// denial tells what is answered from what ends the session.
func denial(err error) error {
	var refusal *access.Refusal
	if !errors.As(err, &refusal) || refusal.Reason == access.ReasonSessionEnded {
		return err
	}
	return &Denied{Message: strings.TrimSpace(refusal.Message + ". " + refusal.Hint)}
}

type grantedPermit struct{ *access.Permit }

func (p grantedPermit) Take(names, bytes int64) error {
	if err := p.Meter().Take(names, bytes); err != nil {
		return denial(err)
	}
	return nil
}

func (p grantedPermit) Done(r Result) { p.Permit.Done(r.Record()) }

// unspoken is a Protocol by name only.
type unspoken struct{}

func (unspoken) Name() string { return "ssh" }
func (unspoken) Vocabulary() policy.Vocabulary {
	return policy.Vocabulary{Actions: Actions, Properties: Properties}
}
func (unspoken) ValidateOptions(json.RawMessage) error { return nil }
func (unspoken) DefaultPort() int32                    { return 22 }
func (unspoken) NewHandler() protocol.Handler          { return nil }

// TestOnARealGrant: a session on the real road, with its record.
func TestOnARealGrant(t *testing.T) {
	dir := directory(t)
	writeFile(t, dir+"/file", "content")
	road := protocoltest.New(t, protocoltest.Config{Protocol: unspoken{}})
	road.Engine.Set(func(op policy.Operation) policy.Decision {
		switch op.Accesses[0].Action {
		case ActionRmdir:
			return protocoltest.DenyAction(ActionRmdir)(op)
		case ActionRemove:
			return protocoltest.HoldAction(ActionRemove)(op)
		}
		return policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{protocoltest.Rule}}
	})
	road.Apply(t)
	caller, err := road.Gate.Entry(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4000}).Authenticate(t.Context(), identity.BearerToken(protocoltest.Token))
	if err != nil {
		t.Fatal(err)
	}
	grant, err := caller.Authorize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	notices := make(chan access.Notice, 1)
	target := startServer(t, dir)
	s := startRelay(t, target, Config{
		Road:  granted{grant, func(n access.Notice) { notices <- n }},
		Waits: grant.Awaits,
	})
	s.greet()
	handle := s.open("file", flagRead)
	if got := s.ask(typeRead, handle, uint64(0), uint32(100)).text(); got != "content" {
		t.Errorf("read %q", got)
	}
	s.ask(typeClose, handle)
	if code, message := s.ask(typeRmdir, "d").status(); code != StatusPermissionDenied ||
		!strings.HasPrefix(message, protocoltest.UserName+" may not rmdir "+dir+"/d: not today. ") || !strings.Contains(message, "kubectl") {
		t.Errorf("denied: %d %q", code, message)
	}
	s.send(packet(typeRemove, 100, "file"))
	if n := <-notices; len(n.Requests) != 1 {
		t.Errorf("the caller is told %+v", n)
	}
	(<-road.Approvals.Asked).Approve()
	if code, _ := s.receive().status(); code != StatusOK {
		t.Errorf("approved: %d", code)
	}
	if code, _ := s.ask(typeExtended, "rm-rf@example.com").status(); code != StatusOpUnsupported {
		t.Errorf("unknown: %d", code)
	}
	var decided []string
	for _, e := range road.Log.OfType(record.OperationDecided) {
		decided = append(decided, string(e.Decision.Effect)+" "+e.Operation.Kind)
	}
	if want := []string{"Allow open", "Deny rmdir", "RequireApproval remove", "Deny unknown"}; !slices.Equal(decided, want) {
		t.Errorf("on record: %q, want %q", decided, want)
	}
	if results := road.Log.OfType(record.OperationResult); len(results) != 2 || results[0].Result.Bytes != 7 || results[1].Result.Outcome != Succeeded {
		t.Errorf("results: %+v", results)
	}
	want := []record.Transfer{{Direction: record.ToCaller, Bytes: 7, Digest: digestOf([]byte("content"))}}
	if got := road.Log.OfType(record.OperationResult)[0].Result.Transfers; !slices.Equal(got, want) {
		t.Errorf("transfers: %+v, want %+v", got, want)
	}
	// What cannot be recorded ends the session or is refused, and never reaches the target.
	road.Log.Fail(errors.New("disk full"))
	if code, _ := s.ask(typeMkdir, "made", noAttrs).status(); code != StatusPermissionDenied {
		t.Errorf("without a record: %d", code)
	}
	if got := tree(t, dir); strings.Contains(got, "made") {
		t.Errorf("without a record: %s", got)
	}
	road.Log.Fail(nil)
	s.cancel(errors.New("over"))
	_ = s.end()
	grant.Close("over")
}
