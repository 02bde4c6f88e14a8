// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// held is a statement that waits for approval.
type held struct {
	request *v1alpha1.ApprovalRequest
	// command is the line that the caller was shown.
	command string
	result  chan error
}

var (
	requestName  = regexp.MustCompile(`ApprovalRequest "([^"]+)"`)
	patchCommand = regexp.MustCompile(`kubectl -n \S+ patch approvalrequest .*`)
)

// hold runs a statement that needs approval and returns once it is held; nil
// where it was refused for want of the API server.
func hold(t *testing.T, s *session, statement string) *held {
	t.Helper()
	h := &held{result: make(chan error, 1)}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*stacktest.Timeout)
		defer cancel()
		_, err := s.Run(ctx, statement)
		h.result <- err
	}()
	var notice *pgconn.Notice
	select {
	case notice = <-s.Notices:
	case err := <-h.result:
		if said := refusal(t, err); said.Code != codeCannotConnectNow {
			t.Fatalf("%q was not held: %v", statement, err)
		}
		return nil
	case <-time.After(stacktest.Timeout):
		t.Fatalf("%q was not held in time", statement)
	}
	name := requestName.FindStringSubmatch(notice.Message)
	if h.command = patchCommand.FindString(notice.Hint); name == nil || h.command == "" {
		t.Fatalf("the notice shows no command: %+v", notice)
	}
	h.request = &v1alpha1.ApprovalRequest{}
	key := client.ObjectKey{Namespace: stack.Namespace, Name: name[1]}
	if err := world.Admin.Get(t.Context(), key, h.request); err != nil {
		t.Fatal(err)
	}
	return h
}

// mustHold is hold where the API server is there.
func mustHold(t *testing.T, s *session, statement string) *held {
	t.Helper()
	h := hold(t, s, statement)
	if h == nil {
		t.Fatalf("%q: no approval could be asked for", statement)
	}
	return h
}

// shell runs the caller's line as somebody else, as a person would.
func (h *held) shell(t *testing.T, user string, groups ...string) (string, error) {
	t.Helper()
	config, err := world.User(user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := world.Control.WriteKubeconfig("person-"+user, config)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "bash", "-c", h.command)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+world.Control.Assets+":"+os.Getenv("PATH"))
	output, err := command.CombinedOutput()
	return string(output), err
}

// approve decides with the API, which is quicker than kubectl.
func (h *held) approve(t *testing.T, user string, groups ...string) {
	t.Helper()
	if err := h.decide(t.Context(), person(t, user, groups...), v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove}); err != nil {
		t.Fatalf("%s cannot approve: %v", user, err)
	}
}

// decide adds a decision as the hint's JSON patch does.
func (h *held) decide(ctx context.Context, c client.Client, decision v1alpha1.Decision) error {
	if decision.OperationDigest == "" {
		decision.OperationDigest = h.request.Spec.Operation.Digest
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": h.request.UID},
		{"op": "add", "path": "/spec/decisions/-", "value": decision},
	})
	if err != nil {
		return err
	}
	return c.Patch(ctx, h.request.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
}

// answer waits for what the caller is told in the end.
func (h *held) answer(t *testing.T) error {
	t.Helper()
	select {
	case err := <-h.result:
		return err
	case <-time.After(stacktest.Timeout):
		t.Fatalf("ApprovalRequest %q: the statement was not answered in time", h.request.Name)
		return nil
	}
}

// ran fails the test where the statement did not run.
func (h *held) ran(t *testing.T) {
	t.Helper()
	if err := h.answer(t); err != nil {
		t.Fatalf("ApprovalRequest %q: the statement did not run: %v", h.request.Name, err)
	}
}

// still fails the test where the statement is not held any more.
func (h *held) still(t *testing.T) {
	t.Helper()
	select {
	case err := <-h.result:
		t.Fatalf("ApprovalRequest %q: the statement is not held any more: %v", h.request.Name, err)
	default:
	}
}

// judged is the first phase that the manager gives the request.
func (h *held) judged(t *testing.T) (phase v1alpha1.ApprovalPhase) {
	t.Helper()
	var object v1alpha1.ApprovalRequest
	await(t, "a phase of ApprovalRequest "+h.request.Name, func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(h.request), &object); err != nil {
			return err
		}
		if phase = object.Status.Phase; phase == "" {
			return errors.New("not judged yet")
		}
		return nil
	})
	return phase
}

// phase waits for a phase, and returns the object.
func (h *held) phase(t *testing.T, want v1alpha1.ApprovalPhase) *v1alpha1.ApprovalRequest {
	t.Helper()
	var object v1alpha1.ApprovalRequest
	await(t, "phase of ApprovalRequest "+h.request.Name, func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(h.request), &object); err != nil {
			return err
		}
		if object.Status.Phase != want {
			return fmt.Errorf("phase is %q, want %q: %+v", object.Status.Phase, want, object.Status.Conditions)
		}
		return nil
	})
	return &object
}

// refusedWith fails the test where an error of the API server lacks a text.
func refusedWith(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("the API server accepted it, want a refusal with %q", text)
	} else if !strings.Contains(err.Error(), text) {
		t.Errorf("the API server refused with %q, want %q", err, text)
	}
}
