// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tutorial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
	"github.com/doorward/doorward/test/testenv"
)

// blockTimeout bounds one block of commands, whose own waits are shorter.
const blockTimeout = 10 * time.Minute

// shell is the reader's: a folder, a cluster, alice's token.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	kubeconfig, err := world.Control.WriteKubeconfig("tutorial", rest.CopyConfig(world.Control.Direct))
	stacktest.Must(t, err)
	token, err := world.Issuer.TokenFor(issuer.Request{User: "alice", Groups: []string{"analysts"}})
	stacktest.Must(t, err)
	return &shell{dir: t.TempDir(), env: append(os.Environ(),
		"proxy="+world.PSQL(world.Proxy()), "records="+world.Records(), "PGPASSWORD="+token, "PGCONNECT_TIMEOUT=30",
		"KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(world.Control.Dir, "kubectl-cache"),
		"PATH="+strings.Join([]string{world.Control.Assets, filepath.Dir(world.Plugin()), os.Getenv("PATH")}, string(filepath.ListSeparator)),
	)}
}

// run runs commands as they stand, and returns what they print.
func (s *shell) run(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), blockTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Env = s.dir, s.env
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v:\n%s", script, err, output)
	}
	return string(output)
}

// blocks are the commands of the page, in order.
func blocks(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "policy", "tutorial.md"))
	stacktest.Must(t, err)
	var all []string
	for _, part := range strings.Split(string(page), "\n```sh\n")[1:] {
		block, _, closed := strings.Cut(part, "\n```\n")
		if !closed {
			t.Fatalf("a block of commands does not end: %q", part)
		}
		all = append(all, block)
	}
	return all
}

// said is what the commands of one block must print, found by how it begins.
var said = map[string][]string{
	"mkdir -p policies":             nil,
	"! psql":                        {"may not use connection", "no policy allows"},
	"cat > policies/analysts.yaml":  {"3 cases, 0 failed"},
	"kubectl apply -f policies/an":  {"condition met", "Allowed", "rule read"},
	"timeout 120 bash -c 'until ps": {"customer1@example.com", "UPDATE 1", "payroll"},
	"cat > policies/guard.yaml":     {"4 cases, 0 failed"},
	"kubectl doorward policy replay --policies policies --records \"$records\" ||": {"Newly held", "update public.orders", "guard/second-pair-of-eyes", "public.customers.email", "guard/contact"},
	"kubectl doorward policy replay --policies policies --records \"$records\" -o": {"accepted"},
	"sed -i 's/mode: Enforce": {"UPDATE 1", "would be: RequireApproval by guard/second-pair-of-eyes", `"wouldRequireApproval":`},
	"sed -i 's/mode: Audit":   {"second-pair-of-eyes"},
}

// TestTutorial follows the page from its first command to its last, and then runs the
// pipelines on what came of it.
func TestTutorial(t *testing.T) {
	// The page begins without a policy.
	stacktest.Must(t, world.Admin.DeleteAllOf(t.Context(), &v1alpha1.AccessPolicy{}, client.InNamespace(stack.Namespace)))
	t.Cleanup(func() {
		for _, name := range []string{"analysts", "guard"} {
			_ = world.Admin.Delete(context.Background(), &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: name}})
		}
	})
	stacktest.Await(t, "a proxy that lets nobody in", func(ctx context.Context) error {
		var refused *pgconn.PgError
		err := stacktest.Visit(ctx, world, world.Proxy(), issuer.Request{User: "alice", Groups: []string{"analysts"}}, "SELECT 1")
		if !errors.As(err, &refused) {
			return fmt.Errorf("alice is not refused: %w", err)
		}
		return nil
	})
	s := newShell(t)
	all := blocks(t)
	if len(all) != len(said) {
		t.Fatalf("the page has %d blocks of commands, the test knows %d", len(all), len(said))
	}
	for _, block := range all {
		var want []string
		found := 0
		for begins, texts := range said {
			if strings.HasPrefix(block, begins) {
				want, found = texts, found+1
			}
		}
		if found != 1 {
			t.Fatalf("the test knows %d blocks that begin as this one: %q", found, block)
		}
		output := s.run(t, block)
		t.Logf("%s\n---\n%s", block, output)
		for _, text := range want {
			if !strings.Contains(output, text) {
				t.Errorf("%s\nsaid no %q:\n%s", block, text, output)
			}
		}
	}
	t.Run("Unchanged", func(t *testing.T) { unchanged(t, s) })
	t.Run("GitHub", func(t *testing.T) { pipeline(t, s, githubSteps(t)) })
	t.Run("GitLab", func(t *testing.T) { pipeline(t, s, gitlabSteps(t)) })
}

// unchanged: replayed under the policies that were in force, nothing of a session differs,
// whatever it did with what is masked, and nothing is undecided.
func unchanged(t *testing.T, s *shell) {
	t.Helper()
	stacktest.Must(t, world.ExecDirect(t.Context(), "CREATE VIEW contacts AS SELECT id, name, email FROM customers"))
	t.Cleanup(func() { stacktest.Must(t, world.ExecDirect(context.Background(), "DROP VIEW contacts")) })
	session := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "alice", Groups: []string{"analysts"}})
	refused := 0
	for _, statement := range []string{
		"SELECT email, phone FROM public.customers WHERE id = 1", "SELECT * FROM public.customers LIMIT 2", "SELECT id, name FROM public.customers",
		"SELECT count(*) FROM public.customers", "SELECT id FROM (SELECT * FROM public.customers) AS c", "SELECT c.email FROM public.customers c JOIN public.orders o ON o.customer_id = c.id",
		"SELECT length(email) FROM public.customers", "SELECT id FROM public.customers WHERE email = 'customer1@example.com'", "SELECT id FROM public.customers ORDER BY phone",
		"SELECT 1 WHERE EXISTS (SELECT email FROM public.customers)", "WITH c AS (SELECT id, email FROM public.customers) SELECT id FROM c", "SELECT id FROM public.contacts",
		"SELECT salary FROM public.payroll", "SELECT 1/0", "COPY public.customers TO STDOUT", "SELECT 1",
	} {
		if _, err := session.Run(t.Context(), statement); err != nil {
			t.Logf("%s: %v", statement, err)
			refused++
		}
	}
	if refused < 4 || refused > 10 {
		t.Errorf("%d statements were refused", refused)
	}
	object, err := session.Object(t.Context())
	stacktest.Must(t, err)
	session.Leave(t)
	s.run(t, "timeout 120 bash -c 'until kubectl doorward audit show --type SessionEnd --session "+object.Name+" \"$records\" | grep SessionEnd; do sleep 1; done'")
	output := s.run(t, "kubectl doorward policy replay --policies policies --records \"$records\" --session "+object.Name+" 2>&1 || true")
	t.Log(output)
	if !strings.Contains(output, ": 0 groups of differences, and 0 that are accepted") || strings.Contains(output, "Could not be decided") {
		t.Error("the same policies differ")
	}
}

// pipeline runs the commands of a pipeline: those that need no network of its own.
func pipeline(t *testing.T, s *shell, steps []string) {
	t.Helper()
	own := *s
	own.env = append(slices.Clone(s.env), "RECORDS="+world.Records())
	// What the pipeline fetches from a bucket is here already; those after the change was
	// merged are no part of what was agreed to.
	s.run(t, `rm -rf records && mkdir records && cp -r "$records"/. records/
kubectl doorward policy replay --policies policies --records records -o yaml > accept.yaml || test $? = 1`)
	if len(steps) != 2 {
		t.Fatalf("%d steps: %q, want a test and a replay", len(steps), steps)
	}
	for _, step := range steps {
		t.Log(own.run(t, step))
	}
	// A policy that takes something away fails the pipeline.
	s.run(t, `cp policies/analysts.yaml kept.yaml && sed -i 's/public.customers, public.orders/public.customers/' policies/analysts.yaml`)
	defer s.run(t, `mv kept.yaml policies/analysts.yaml`)
	for _, step := range steps {
		own.run(t, "! "+step)
	}
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "policy", "ci", name))
	stacktest.Must(t, err)
	stacktest.Must(t, yaml.Unmarshal(data, into))
}

// ours chooses the commands of the plugin.
func ours(all []string) []string {
	return slices.DeleteFunc(all, func(command string) bool { return !strings.HasPrefix(command, "kubectl-doorward ") })
}

func githubSteps(t *testing.T) []string {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Run string `json:"run"`
			} `json:"steps"`
		} `json:"jobs"`
	}
	read(t, "github-actions.yaml", &workflow)
	var all []string
	for _, step := range workflow.Jobs["policies"].Steps {
		all = append(all, strings.TrimSpace(step.Run))
	}
	return ours(all)
}

func gitlabSteps(t *testing.T) []string {
	t.Helper()
	var pipeline map[string]struct {
		Script []string `json:"script"`
	}
	read(t, "gitlab-ci.yml", &pipeline)
	return ours(pipeline["policies"].Script)
}
