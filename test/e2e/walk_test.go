// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// walk is what the words of the tour work with.
type walk struct {
	*site
	kubeconfigs map[string]string
	// running are the commands in the background, by name; seen the requests.
	running map[string]*running
	seen    []string
	// before are the sessions that there were when the last of them was started.
	before map[string]bool
}

// running is a command in the background.
type running struct {
	command *exec.Cmd
	output  string
	// done is closed at its end, which was at ended.
	done  chan struct{}
	ended time.Time
}

func (w *walk) patience(ts *testscript.TestScript) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	ts.Defer(cancel)
	return ctx
}

func words(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

// as PERSON: who types from here on.
func (w *walk) as(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 1, "as PERSON")
	path, known := w.kubeconfigs[args[0]]
	if !known {
		ts.Fatalf("nobody is named %q", args[0])
	}
	ts.Setenv("KUBECONFIG", path)
}

// background NAME COMMAND...: starts a command and goes on.
func (w *walk) background(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 2, "background NAME COMMAND...")
	r := &running{output: ts.MkAbs(args[0] + ".out"), done: make(chan struct{})}
	var sessions v1alpha1.AuditSessionList
	ts.Check(w.admin.List(w.patience(ts), &sessions, client.InNamespace(namespace)))
	w.before = map[string]bool{}
	for i := range sessions.Items {
		w.before[sessions.Items[i].Name] = true
	}
	output, err := os.Create(r.output)
	ts.Check(err)
	path, err := exec.LookPath(w.Assets + "/" + args[1])
	ts.Check(err)
	r.command = exec.Command(path, args[2:]...)
	r.command.Dir = ts.MkAbs(".")
	r.command.Stdout, r.command.Stderr = output, output
	r.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, name := range []string{"PATH", "KUBECONFIG", "KUBECACHEDIR", "XDG_CONFIG_HOME", "HOME"} {
		r.command.Env = append(r.command.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(r.command.Start())
	w.running[args[0]] = r
	go func() {
		_ = r.command.Wait() // what it ended with is asked for by ended
		r.ended = time.Now()
		_ = output.Close()
		close(r.done)
	}()
}

// stop ends what a script left running.
func (w *walk) stop() {
	for _, r := range w.running {
		select {
		case <-r.done:
		default:
			_ = syscall.Kill(-r.command.Process.Pid, syscall.SIGKILL)
			<-r.done
		}
	}
}

func (w *walk) find(ts *testscript.TestScript, name string) *running {
	r := w.running[name]
	if r == nil {
		ts.Fatalf("nothing runs as %q", name)
	}
	return r
}

func (r *running) text(ts *testscript.TestScript) string {
	content, err := os.ReadFile(r.output)
	ts.Check(err)
	return string(content)
}

// printed NAME PATTERN: waits until a command in the background has printed a line.
func (w *walk) printed(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 2, "printed NAME PATTERN")
	r, pattern := w.find(ts, args[0]), regexp.MustCompile("(?m)"+args[1])
	ts.Check(stack.Await(w.patience(ts), func(context.Context) error {
		if text := r.text(ts); !pattern.MatchString(text) {
			return fmt.Errorf("no line matches %q in:\n%s", args[1], text)
		}
		return nil
	}))
}

// said NAME TEXT...: what a command in the background has printed has these texts.
func (w *walk) said(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 2, "said NAME TEXT...")
	text := w.find(ts, args[0]).text(ts)
	for _, want := range args[1:] {
		if !strings.Contains(text, want) {
			ts.Fatalf("%s did not say %q but:\n%s", args[0], want, text)
		}
	}
}

// ended NAME CODE: waits for the end of a command in the background.
func (w *walk) ended(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 2, "ended NAME CODE")
	r := w.find(ts, args[0])
	select {
	case <-r.done:
	case <-w.patience(ts).Done():
		ts.Fatalf("%s does not end; it says:\n%s", args[0], r.text(ts))
	}
	if code := strconv.Itoa(r.command.ProcessState.ExitCode()); code != args[1] {
		ts.Fatalf("%s ended with %s, want %s:\n%s", args[0], code, args[1], r.text(ts))
	}
}

// dead NAME OBJECT BOUND COMMAND...: runs a command that revokes an ApprovalRequest or a
// GatewayCredential, or terminates an AuditSession; a client in the background ends within the bound, counted from
// the instant at which the API server shows it.
func (w *walk) dead(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 4, "dead NAME OBJECT BOUND COMMAND...")
	r, ctx := w.find(ts, args[0]), w.patience(ts)
	bound, err := time.ParseDuration(args[2])
	ts.Check(err)
	accepted, err := w.accepted(ctx, args[1])
	ts.Check(err)
	ts.Check(ts.Exec(args[3], args[4:]...))
	var at time.Time
	select {
	case at = <-accepted:
	case <-ctx.Done():
		ts.Fatalf("%s did not change", args[1])
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		ts.Fatalf("%s goes on; it says:\n%s", args[0], r.text(ts))
	}
	took := r.ended.Sub(at)
	progress("  %s: the client had ended %d ms after %s", args[0], took.Milliseconds(), args[1])
	if took > bound {
		ts.Fatalf("%s ended %s after %s, want at most %s", args[0], took, args[1], bound)
	}
}

// accepted tells when the API server shows that an object is revoked or terminated.
func (w *walk) accepted(ctx context.Context, object string) (<-chan time.Time, error) {
	config, err := w.RestConfig()
	if err != nil {
		return nil, err
	}
	watching, err := client.NewWithWatch(config, client.Options{Scheme: w.admin.Scheme()})
	if err != nil {
		return nil, err
	}
	kind, name, _ := strings.Cut(object, "/")
	options := []client.ListOption{client.MatchingFields{"metadata.name": name}}
	var list client.ObjectList
	switch kind {
	case "approvalrequest":
		list, options = &v1alpha1.ApprovalRequestList{}, append(options, client.InNamespace(namespace))
	case "auditsession":
		list, options = &v1alpha1.AuditSessionList{}, append(options, client.InNamespace(namespace))
	case "gatewaycredential":
		list = &v1alpha1.GatewayCredentialList{}
	default:
		return nil, fmt.Errorf("nothing ends with a %s", kind)
	}
	watcher, err := watching.Watch(ctx, list, options...)
	if err != nil {
		return nil, err
	}
	accepted := make(chan time.Time, 1)
	go func() {
		defer watcher.Stop()
		for event := range watcher.ResultChan() {
			over := false
			switch o := event.Object.(type) {
			case *v1alpha1.ApprovalRequest:
				over = o.Spec.Revoke != nil
			case *v1alpha1.AuditSession:
				over = o.Spec.Terminate != nil
			case *v1alpha1.GatewayCredential:
				over = o.Spec.Revoke != nil
			}
			if over {
				accepted <- time.Now()
				return
			}
		}
	}()
	return accepted, nil
}

// await-request NAME: waits for a new request of the tour that can be decided; $NAME, $NAME_UID and
// $NAME_DIGEST are the request's.
func (w *walk) awaitRequest(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 1, "await-request NAME")
	ts.Check(stack.Await(w.patience(ts), func(ctx context.Context) error {
		var requests v1alpha1.ApprovalRequestList
		if err := w.admin.List(ctx, &requests, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range requests.Items {
			r := &requests.Items[i]
			if slices.Contains(w.seen, r.Name) || r.Status.Phase != v1alpha1.ApprovalPending || r.DecidedDigest() == "" {
				continue
			}
			w.seen = append(w.seen, r.Name)
			ts.Setenv(args[0], r.Name)
			ts.Setenv(args[0]+"_UID", string(r.UID))
			ts.Setenv(args[0]+"_DIGEST", r.DecidedDigest())
			return nil
		}
		return errors.New("no new request is pending")
	}))
}

// live-session NAME USER: $NAME is the one live session of a user that the last command in
// the background has opened: an elder one may still be shown as live.
func (w *walk) liveSession(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 2, "live-session NAME USER")
	ts.Check(stack.Await(w.patience(ts), func(ctx context.Context) error {
		var sessions v1alpha1.AuditSessionList
		if err := w.admin.List(ctx, &sessions, client.InNamespace(namespace)); err != nil {
			return err
		}
		var live []string
		for i := range sessions.Items {
			session := &sessions.Items[i]
			// It works, so that it is not one whose end is not shown yet.
			works := session.Status.Operations != nil && session.Status.Operations.Allowed > 0
			if session.Spec.Actor.Username == args[1] && session.Status.Phase == v1alpha1.SessionActive && works && !w.before[session.Name] {
				live = append(live, session.Name)
			}
		}
		if len(live) != 1 {
			return fmt.Errorf("want one live session of %s: %q", args[1], live)
		}
		ts.Setenv(args[0], live[0])
		return nil
	}))
}

// recorded SESSION [TYPE]: the sink has a record of a type about a session; its end, where no
// type is said.
func (w *walk) recorded(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, neg, args, 1, "recorded SESSION [TYPE]")
	kind := "SessionEnd"
	if len(args) > 1 {
		kind = args[1]
	}
	ts.Check(stack.Await(w.patience(ts), func(ctx context.Context) error {
		out, err := w.shell(ctx, w.Kubeconfig(), "kubectl doorward audit show -o json "+w.sink.dir)
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, args[0]) && strings.Contains(line, `"`+kind+`"`) {
				return nil
			}
		}
		return fmt.Errorf("no %s of %s is on record", kind, args[0])
	}))
}

// soon COMMAND...: runs a command until it succeeds, or with "!" until it fails: what was
// just approved or revoked reaches each proxy in its own time.
func (w *walk) soon(ts *testscript.TestScript, neg bool, args []string) {
	words(ts, false, args, 1, "[!] soon COMMAND...")
	ts.Check(stack.Await(w.patience(ts), func(context.Context) error {
		switch err := ts.Exec(args[0], args[1:]...); {
		case neg && err == nil:
			return fmt.Errorf("%q still succeeds", args)
		case !neg:
			return err
		}
		return nil
	}))
}

// everywhere waits until a policy is in force as it is, at all proxies.
func (s *site) everywhere(t *testing.T, name string) {
	t.Helper()
	await(t, fmt.Sprintf("policy %q at all proxies", name), func(ctx context.Context) error {
		if err := s.inForce(name)(ctx); err != nil {
			return err
		}
		return s.well(ctx)
	})
}

// inForce says whether a policy is in force as it is.
func (s *site) inForce(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		var policy v1alpha1.AccessPolicy
		if err := s.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &policy); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != policy.Generation {
			return fmt.Errorf("policy %q is not in force: %+v", name, policy.Status.Conditions)
		}
		return nil
	}
}
