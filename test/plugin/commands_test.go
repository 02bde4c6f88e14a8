// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enforcement"
	"github.com/doorward/doorward/test/operator"
)

// patience bounds every wait, on a busy machine.
const patience = 2 * time.Minute

// shop is what a script works with: the proxy of Connection orders-db, in its namespace.
type shop struct {
	namespace  string
	connection *v1alpha1.Connection
	policy     *v1alpha1.AccessPolicy
	proxy      client.WithWatch
}

type shopKey struct{}

// arrange makes a script's objects and waits until the manager has put them into force.
func arrange(e *testscript.Env) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := &shop{namespace: "shop-" + strings.TrimPrefix(filepath.Base(e.WorkDir), "script-")}
	objects, err := os.ReadFile("testdata/objects.yaml")
	if err != nil {
		return err
	}
	path := filepath.Join(env.Dir, s.namespace+".yaml")
	objects = bytes.ReplaceAll(objects, []byte("\nmetadata:\n"), []byte("\nmetadata:\n  namespace: "+s.namespace+"\n"))
	if err := os.WriteFile(path, objects, 0o600); err != nil {
		return err
	}
	if err := env.Apply(ctx, path); err != nil {
		return err
	}
	if err := until(ctx, s.ready); err != nil {
		return err
	}
	e.Values[shopKey{}] = s
	e.Setenv("PATH", bin+string(os.PathListSeparator)+env.Assets+string(os.PathListSeparator)+e.Getenv("PATH"))
	e.Setenv("NAMESPACE", s.namespace)
	e.Setenv("KUBECACHEDIR", filepath.Join(e.WorkDir, ".cache"))
	e.Setenv("KUBECONFIG", os.DevNull)
	e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, ".config"))
	return nil
}

// ready says whether the proxy could serve: its rights are there, policies are in force,
// and so is admission, proven for more than a second.
func (s *shop) ready(ctx context.Context) error {
	s.connection, s.policy = &v1alpha1.Connection{}, &v1alpha1.AccessPolicy{}
	var kept corev1.ConfigMap
	if err := errors.Join(
		admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "orders-db"}, s.connection),
		admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "analysts"}, s.policy),
		admin.Get(ctx, client.ObjectKey{Namespace: operator.Namespace, Name: enforcement.ConfigMapName}, &kept),
	); err != nil {
		return err
	}
	if age := time.Since(kept.CreationTimestamp.Time); age < 3*time.Second {
		return fmt.Errorf("enforcement is proven since %s only", age)
	}
	if s.policy.Status.ObservedGeneration != s.policy.Generation || s.connection.Status.Snapshot == nil {
		return fmt.Errorf("the policy is not in force yet: %+v: %+v", s.policy.Status.Conditions, s.connection.Status.Conditions)
	}
	config, err := env.ServiceAccountConfig(ctx, s.namespace, "doorward-orders-db")
	if err != nil {
		return err
	}
	if s.proxy, err = client.NewWithWatch(config, client.Options{Scheme: admin.Scheme()}); err != nil {
		return err
	}
	return s.proxy.List(ctx, &v1alpha1.ApprovalRequestList{}, client.InNamespace(s.namespace))
}

// until waits for a condition.
func until(ctx context.Context, condition func(context.Context) error) error {
	var last error
	if err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("%w: last: %w", err, last)
	}
	return nil
}

// begin gives a command its shop, and its time.
func begin(ts *testscript.TestScript, neg bool, args []string, least int, usage string) (context.Context, *shop) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	ts.Defer(cancel)
	return ctx, ts.Value(shopKey{}).(*shop)
}

// as PERSON: who types from here on, with the script's namespace as kubectl's.
func as(ts *testscript.TestScript, neg bool, args []string) {
	_, s := begin(ts, neg, args, 1, "as PERSON")
	person, known := people[args[0]]
	if !known {
		ts.Fatalf("nobody is named %q", args[0])
	}
	config, err := env.AddUser(person.name, person.groups...)
	ts.Check(err)
	path, err := env.WriteKubeconfig(s.namespace+"-"+args[0], config)
	ts.Check(err)
	file, err := clientcmd.LoadFromFile(path)
	ts.Check(err)
	file.Contexts[file.CurrentContext].Namespace = s.namespace
	ts.Check(clientcmd.WriteToFile(*file, path))
	ts.Setenv("KUBECONFIG", path)
}

// hold NAME FILE [seconds=N] [minimum=N] [truncated] [requester=NAME]: the proxy holds the
// statement of a file, with \u{hex} for what draws on terminals, and asks for approval; $NAME and $NAME_DIGEST are the request's.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	ctx, s := begin(ts, neg, args, 2, "hold NAME FILE [OPTION...]")
	statement := escaped.ReplaceAllStringFunc(strings.TrimSuffix(ts.ReadFile(args[1]), "\n"), func(text string) string {
		number, err := strconv.ParseInt(text[3:len(text)-1], 16, 32)
		ts.Check(err)
		return string(rune(number))
	})
	sum := sha256.Sum256([]byte(statement))
	r := &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, GenerateName: "orders-db-"},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: "orders-db"}, Scope: v1alpha1.ApprovalScopeOperation,
			Requester: v1alpha1.Requester{Issuer: "https://login.shop.example", Subject: "248289761001", Username: "company:alice", Groups: []string{"analysts"}},
			Operation: v1alpha1.HeldOperation{
				Digest: "sha256:" + hex.EncodeToString(sum[:]), Statement: statement, Truncation: v1alpha1.TruncationNone,
				Accesses: []v1alpha1.Access{{Action: "update", Resource: "public.orders"}},
			},
			Holder: v1alpha1.Holder{ProxyInstance: "laptop", Session: "orders-db-01jd5e8w2v", Nonce: strings.Repeat("1", 64)},
			Binding: v1alpha1.Binding{
				ConnectionUID: string(s.connection.UID), ConnectionGeneration: s.connection.Generation,
				Policies: []v1alpha1.BoundRule{{Name: s.policy.Name, UID: string(s.policy.UID), Generation: s.policy.Generation, Rule: "fix-orders"}},
			},
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "shop-leads"}}, MinimumApprovals: 1,
			ExpiresAt: metav1.NewTime(time.Now().Add(10 * time.Minute)), Decisions: []v1alpha1.Decision{},
		},
	}
	for _, option := range args[2:] {
		name, value, _ := strings.Cut(option, "=")
		number := int32(0)
		_, _ = fmt.Sscan(value, &number)
		switch name {
		case "truncated":
			r.Spec.Operation.Truncation = v1alpha1.TruncationTruncated
		case "minimum":
			r.Spec.MinimumApprovals = number
		case "seconds":
			r.Spec.ExpiresAt = metav1.NewTime(time.Now().Add(time.Duration(number) * time.Second))
		case "requester":
			r.Spec.Requester.Username = value
		default:
			ts.Fatalf("no option: %q", option)
		}
	}
	ts.Check(s.proxy.Create(ctx, r))
	ts.Setenv(args[0], r.Name)
	ts.Setenv(args[0]+"_DIGEST", r.Spec.Operation.Digest)
	ts.Check(until(ctx, s.phase(r.Name, v1alpha1.ApprovalPending, v1alpha1.ApprovalExpired)))
}

// asked NAME FILE: the request of scope Session whose name a file holds, as -o name prints
// it, is accepted by the manager; $NAME and $NAME_DIGEST are the request's.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	ctx, s := begin(ts, neg, args, 2, "asked NAME FILE")
	_, name, _ := strings.Cut(strings.TrimSpace(ts.ReadFile(args[1])), "/")
	var r v1alpha1.ApprovalRequest
	ts.Check(until(ctx, func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &r)
		if err == nil && r.DecidedDigest() == "" {
			err = fmt.Errorf("ApprovalRequest %q is not accepted: %+v", name, r.Status.Conditions)
		}
		return err
	}))
	ts.Setenv(args[0], name)
	ts.Setenv(args[0]+"_DIGEST", r.DecidedDigest())
}

// escaped are characters of a statement that a script does not hold as they are.
var escaped = regexp.MustCompile(`\\u\{[0-9a-f]+\}`)

// phase is whether a request is in a phase.
func (s *shop) phase(name string, phases ...v1alpha1.ApprovalPhase) func(context.Context) error {
	return func(ctx context.Context) error {
		var r v1alpha1.ApprovalRequest
		err := admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &r)
		if err == nil && !slices.Contains(phases, r.Status.Phase) {
			err = fmt.Errorf("ApprovalRequest %q is %q: %+v", name, r.Status.Phase, r.Status.Conditions)
		}
		return err
	}
}

// await NAME PHASE: waits until the manager has put a request into a phase.
func await(ts *testscript.TestScript, neg bool, args []string) {
	ctx, s := begin(ts, neg, args, 2, "await NAME PHASE")
	ts.Check(until(ctx, s.phase(args[0], v1alpha1.ApprovalPhase(args[1]))))
}

// use NAME: the proxy lets the approved operation go.
func use(ts *testscript.TestScript, neg bool, args []string) {
	ctx, s := begin(ts, neg, args, 1, "use NAME")
	var r v1alpha1.ApprovalRequest
	ts.Check(s.proxy.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: args[0]}, &r))
	before := r.DeepCopy()
	r.Spec.Use = &v1alpha1.Use{UsedAt: metav1.Now(), ProxyInstance: r.Spec.Holder.ProxyInstance}
	ts.Check(s.proxy.Patch(ctx, &r, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
	ts.Check(until(ctx, s.phase(args[0], v1alpha1.ApprovalUsed)))
}

// edit: an admin changes the policy.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	ctx, s := begin(ts, neg, args, 0, "edit")
	patch := client.RawPatch("application/json-patch+json", []byte(`[{"op":"add","path":"/spec/rules/0/actions/-","value":"show"}]`))
	ts.Check(admin.Patch(ctx, s.policy.DeepCopy(), patch))
}

// seen FILE PATTERN: waits until a line of a file that a background command writes is
// there.
func seen(ts *testscript.TestScript, neg bool, args []string) {
	ctx, _ := begin(ts, neg, args, 2, "seen FILE PATTERN")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	ts.Check(until(ctx, func(context.Context) error {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && !pattern.Match(text) {
			err = fmt.Errorf("no %q in\n%s", args[1], text)
		}
		return err
	}))
}
