// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// asked waits until a terminal shows what it waits for.
func asked(t *testing.T, p *program) *v1alpha1.ApprovalRequest {
	t.Helper()
	p.shows(t, "waits for approval until", "An approver runs: kubectl -n shop patch approvalrequest", "Ctrl-C withdraws the request")
	name := requestName.FindStringSubmatch(p.shown.String())
	if name == nil {
		t.Fatalf("no request is named: %q", &p.shown)
	}
	request := &v1alpha1.ApprovalRequest{}
	stacktest.Must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: name[1]}, request))
	return request
}

// person is a client of somebody's at the API server.
func person(t *testing.T, name string) client.Client {
	t.Helper()
	config, err := world.User(name, groups[name]...)
	stacktest.Must(t, err)
	c, err := stack.NewClient(config)
	stacktest.Must(t, err)
	return c
}

// typed runs a line as it stands on a terminal, with the rights of somebody.
func typed(t *testing.T, user, line string) {
	t.Helper()
	config, err := world.User(user, groups[user]...)
	stacktest.Must(t, err)
	kubeconfig, err := world.Control.WriteKubeconfig("person-"+user, config)
	stacktest.Must(t, err)
	command := exec.CommandContext(t.Context(), "bash", "-c", line)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+world.Control.Assets+string(os.PathListSeparator)+os.Getenv("PATH"))
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s runs %s: %v: %s", user, line, err, output)
	}
}

// decide adds a decision to a request.
func decide(t *testing.T, who client.Client, request *v1alpha1.ApprovalRequest, decision v1alpha1.Decision) error {
	t.Helper()
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": request.UID},
		{"op": "add", "path": "/spec/decisions/-", "value": decision},
	})
	stacktest.Must(t, err)
	return who.Patch(t.Context(), request.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
}

// phase waits until a request is in one.
func phase(t *testing.T, name string, want ...v1alpha1.ApprovalPhase) *v1alpha1.ApprovalRequest {
	t.Helper()
	request := &v1alpha1.ApprovalRequest{}
	stacktest.Await(t, fmt.Sprintf("the request is %s", want), func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: name}, request); err != nil {
			return err
		}
		if !slices.Contains(want, request.Status.Phase) {
			return fmt.Errorf("its phase is %q: %+v", request.Status.Phase, request.Status.Conditions)
		}
		return nil
	})
	return request
}

// TestApproved: checklist 5 and 32: a command waits, its terminal shows what an approver runs, and
// it runs when that was run, once. What else the connection asks for meanwhile, a command and a
// forward that policies allow, comes after it.
func TestApproved(t *testing.T) {
	hal := by("hal")
	socket := filepath.Join(t.TempDir(), "control")
	master := start(t, hal.command(t, "ssh", "-M", "-S", socket, "-N", place))
	stacktest.Await(t, "the master", func(context.Context) error {
		if said := finish(t, hal.command(t, "ssh", "-S", socket, "-O", "check", place), ""); said.status != 0 {
			return errors.New(said.errs)
		}
		return nil
	})
	held := start(t, hal.command(t, "ssh", "-S", socket, "-T", place, "uname -s"))
	request := asked(t, held)
	if request.Spec.Requester.Username != "hal" || request.Spec.Operation.Statement != "uname -s" {
		t.Errorf("asked for %+v by %+v", request.Spec.Operation, request.Spec.Requester)
	}
	other := start(t, hal.command(t, "ssh", "-S", socket, "-T", place, "echo other"))
	tunnel := start(t, hal.command(t, "ssh", "-S", socket, "-W", echo, place))
	tunnel.types(t, "through")
	if err := decide(t, person(t, "hal"), request, v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove, OperationDigest: request.Spec.Operation.Digest}); err == nil || !strings.Contains(err.Error(), "requester and approver must differ") {
		t.Errorf("hal, who may approve what others ask for, approves it himself: %v", err)
	}
	object := session(t, "hal", v1alpha1.SessionActive)
	select {
	case <-time.After(time.Second): // what comes later is found by its record below
	case err := <-other.over:
		t.Errorf("the other command did not wait: %v %s", err, &other.shown)
	}
	for _, p := range []*program{held, other, tunnel, master} {
		p.runsOn(t)
	}
	if strings.Contains(tunnel.shown.String(), "through") {
		t.Error("a forward was opened while a command was held")
	}

	typed(t, "bob", patchCommand.FindString(held.shown.String()))
	if status := held.ends(t); status != 0 || !strings.Contains(held.shown.String(), "Linux\n") {
		t.Errorf("approved, it ended with %d: %q", status, &held.shown)
	}
	phase(t, request.Name, v1alpha1.ApprovalUsed)
	if status := other.ends(t); status != 0 || other.shown.String() != "other\n" {
		t.Errorf("the other ended with %d: %q", status, &other.shown)
	}
	tunnel.shows(t, "through\n")
	first := decided(t, "hal", "uname -s")
	if a := first.Approval; a == nil || a.Request != request.Name || len(a.Approvers) != 1 || a.Approvers[0] != "bob" || first.Session != object.Name {
		t.Errorf("on record: %+v in %s", first.Approval, first.Session)
	}
	for _, statement := range []string{"echo other", "forward " + echo} {
		if d := decided(t, "hal", statement); d.Session != first.Session || d.Index < first.Index {
			t.Errorf("record %d of %q was decided before record %d, which was asked for first", d.Index, statement, first.Index)
		}
	}
	again := start(t, hal.command(t, "ssh", "-S", socket, "-T", place, "uname -s"))
	again.shows(t, "waits for approval until")
	if now := requestName.FindStringSubmatch(again.shown.String()); len(now) != 2 || now[1] == request.Name {
		t.Errorf("the same command was not asked about again: %v", now)
	}
}

// TestNotApproved: what is denied, not decided in time, or taken back, by Ctrl-C or by the client that
// leaves, never runs.
func TestNotApproved(t *testing.T) {
	t.Run("Denied", func(t *testing.T) {
		held := by("hugo").starts(t, "uname -s")
		request := asked(t, held)
		stacktest.Must(t, decide(t, person(t, "bob"), request, v1alpha1.Decision{
			Verdict: v1alpha1.VerdictDeny, OperationDigest: request.Spec.Operation.Digest, Comment: "not on a Friday",
		}))
		if status := held.ends(t); status != 126 {
			t.Errorf("status %d", status)
		}
		held.shows(t, "was denied by bob: not on a Friday", "Talk to the approver")
		phase(t, request.Name, v1alpha1.ApprovalDenied)
		if d := decided(t, "hugo", "uname -s"); d.Decision.Effect != "Deny" {
			t.Errorf("on record: %+v", d.Decision)
		}
	})
	t.Run("Expired", func(t *testing.T) {
		held := by("ivy").starts(t, "uname -s")
		request := asked(t, held)
		if status := held.ends(t); status != 126 {
			t.Errorf("status %d", status)
		}
		held.shows(t, "nobody decided ApprovalRequest")
		// The client leaves then, which the manager may hear of before it looks at the time.
		phase(t, request.Name, v1alpha1.ApprovalExpired, v1alpha1.ApprovalVoid)
	})
	t.Run("Left", func(t *testing.T) {
		held := by("hedy").starts(t, "uname -s")
		request := asked(t, held)
		stacktest.Must(t, held.command.Process.Kill())
		phase(t, request.Name, v1alpha1.ApprovalVoid)
		if err := decide(t, person(t, "bob"), request, v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove, OperationDigest: request.Spec.Operation.Digest}); err != nil {
			t.Logf("nobody can approve it any more: %v", err)
		}
		if d := decided(t, "hedy", "uname -s"); d.Decision.Effect != "Deny" || d.Approval.Outcome != "Withdrawn" {
			t.Errorf("on record: %+v, %+v", d.Decision, d.Approval)
		}
		session(t, "hedy", v1alpha1.SessionEnded)
	})
	t.Run("Interrupted", func(t *testing.T) {
		held := start(t, by("hank").command(t, "ssh", "-tt", place, "uname -s"))
		request := asked(t, held)
		_, err := io.WriteString(held.in, "\x03")
		stacktest.Must(t, err)
		if status := held.ends(t); status != 130 {
			t.Errorf("status %d", status)
		}
		held.shows(t, "the held operation was canceled; nothing was forwarded")
		phase(t, request.Name, v1alpha1.ApprovalVoid)
		if d := decided(t, "hank", "uname -s"); d.Decision.Effect != "Deny" || d.Approval.Outcome != "Withdrawn" {
			t.Errorf("on record: %+v, %+v", d.Decision, d.Approval)
		}
	})
	log, err := web.Target.Log()
	stacktest.Must(t, err)
	for user := range map[string]bool{"hugo": true, "ivy": true, "hedy": true, "hank": true} {
		if started(log, user) {
			t.Errorf("the target started something for %s", user)
		}
	}
}

// started says whether the target's log has a program of somebody's.
func started(log, user string) bool {
	_, after, in := strings.Cut(log, "user="+user+" ")
	if !in {
		return false
	}
	process := ""
	for line := range strings.Lines(after) {
		if strings.Contains(line, "Accepted publickey") {
			break // somebody else's
		}
		process += line
	}
	return strings.Contains(process, "Starting session: command")
}

// TestSessionApproval: a shell rests on an approval that is asked for before: it is refused with
// what to type, opens once that was typed and approved, and ends when the approval is revoked.
func TestSessionApproval(t *testing.T) {
	jill := by("jill")
	refused := finish(t, jill.command(t, "ssh", "-T", place), "echo in\n")
	refused.wants(t, 126, "this needs an approval that lasts for a time", "kubectl doorward request web -n shop --rule just-in-time/on-call", "kubectl create -f - <<'EOF'")
	jill.runs(t, "id").wants(t, 0, "uid=")

	// As the terminal shows it, but for the reason.
	_, text, _ := strings.Cut(strings.ReplaceAll(refused.errs, "\r\n", "\n"), "Without the plugin: ")
	typed(t, "jill", strings.ReplaceAll(text, "<why>", "INC-7, web is down"))
	var request *v1alpha1.ApprovalRequest
	stacktest.Await(t, "the request", func(ctx context.Context) error {
		var all v1alpha1.ApprovalRequestList
		if err := world.Admin.List(ctx, &all, client.InNamespace(stack.Namespace)); err != nil {
			return err
		}
		for i := range all.Items {
			if r := &all.Items[i]; r.Spec.Requester.Username == "jill" && r.Status.Phase == v1alpha1.ApprovalPending {
				request = r
				return nil
			}
		}
		return errors.New("there is none")
	})
	finish(t, jill.command(t, "ssh", "-T", place), "echo in\n").wants(t, 126)
	stacktest.Must(t, decide(t, person(t, "bob"), request, v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove, OperationDigest: request.Status.Session.Digest}))
	phase(t, request.Name, v1alpha1.ApprovalApproved)
	stacktest.Await(t, "a shell", func(context.Context) error {
		if said := finish(t, jill.command(t, "ssh", "-T", place), "echo in\n"); said.status != 0 || said.out != "in\n" {
			return errors.New(said.errs)
		}
		return nil
	})
	shell := jill.shell(t)
	revoke := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"revoke":{"reason":"web is up again"}}}`))
	stacktest.Must(t, person(t, "jill").Patch(t.Context(), request.DeepCopy(), revoke))
	accepted := time.Now()
	if status := shell.ends(t); status == 0 {
		t.Error("the shell ended as if all were well")
	}
	within(t, "the shell of a revoked approval ended", accepted)
	shell.shows(t, request.Name, "web is up again")
	finish(t, jill.command(t, "ssh", "-T", place), "echo in\n").wants(t, 126, "this needs an approval that lasts for a time")
}
