// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/cluster/images"
	"github.com/doorward/doorward/test/pgpod"
	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

// site is a cluster with all that an installation meets there: an issuer, a sink,
// the target. Doorward itself comes by install.
type site struct {
	*cluster.Cluster

	dir string
	// images is the folder of the archives.
	images string
	admin  client.Client
	issuer *issuer
	sink   *sink
	// portal is where this machine reaches the login portal, as host:port.
	portal   *relay.Relay
	postgres *pgpod.Server
	// helm and plugins are programs; plugins is the folder of kubectl-doorward.
	helm, plugins string
	// password is the target's for role, to be found nowhere.
	password string
}

// images of the product: two versions of the same code.
const (
	firstVersion  = "0.1.0-e2e.1"
	secondVersion = "0.1.0-e2e.2"
	repository    = "ghcr.io/doorward/doorward"
)

// source is what images are built from: a work tree and the versions they call themselves.
type source struct {
	tree     string
	versions []string
}

// newSite starts a cluster with everything but Doorward, and with the images of
// the sources.
func newSite(t *testing.T, sources ...source) *site {
	t.Helper()
	s := &site{dir: folder(t, "site"), images: os.Getenv("DOORWARD_IMAGES"), password: "canary-" + strings.ToLower(t.Name())}
	if s.images == "" {
		s.images = s.dir
	}
	var versions []string
	for _, from := range sources {
		versions = append(versions, from.versions...)
	}
	progress("starting a cluster, building the images of %s", strings.Join(versions, " and "))
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() (err error) {
		s.Cluster, err = cluster.Start(ctx, cluster.Options{Progress: os.Stdout})
		return err
	})
	group.Go(func() error { return s.build(ctx, sources) })
	group.Go(func() error {
		return errors.Join(images.PostgreSQL(ctx, s.archive("postgres")), images.Client(ctx, s.archive("psql")))
	})
	err := group.Wait()
	if s.Cluster != nil {
		t.Cleanup(func() {
			if t.Failed() {
				s.explain()
			}
			if err := s.Stop(); err != nil {
				t.Errorf("cannot stop the cluster: %v", err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{"postgres", "psql"}, versions...) {
		if err := s.LoadImage(t.Context(), s.archive(name)); err != nil {
			t.Fatal(err)
		}
	}
	config, err := s.RestConfig()
	if err != nil {
		t.Fatal(err)
	}
	if s.admin, err = stack.NewClient(config); err != nil {
		t.Fatal(err)
	}
	s.issuer = startIssuer(t, s)
	s.sink = startSink(t, s)
	s.portal = startPortal(t, s)
	return s
}

func (s *site) archive(name string) string { return filepath.Join(s.images, name+".tar") }

// build makes the programs and images.
func (s *site) build(ctx context.Context, sources []source) error {
	for _, from := range sources {
		// One after the other: the second build finds all in the cache.
		for _, version := range from.versions {
			if _, err := os.Stat(s.archive(version)); err == nil && s.images != s.dir {
				continue
			}
			if err := program(ctx, from.tree, "go", "run", "./hack/image", "-version", version, "-output", s.archive(version)); err != nil {
				return err
			}
		}
	}
	s.plugins = filepath.Join(s.dir, "bin")
	if err := program(ctx, testenv.Root(), "go", "build", "-o", filepath.Join(s.plugins, "kubectl-doorward"), "./cmd/kubectl-doorward"); err != nil {
		return err
	}
	s.helm = filepath.Join(testenv.Root(), "bin", "tools", "helm")
	return program(ctx, testenv.Root(), "make", "bin/tools/helm")
}

// program runs a program in a folder; an error quotes what it printed.
func program(ctx context.Context, dir, name string, arguments ...string) error {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// kubectl runs kubectl as the cluster's admin.
func (s *site) kubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := s.Kubectl(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// helmRun runs helm as the cluster's admin.
func (s *site) helmRun(t *testing.T, arguments ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), s.helm, append([]string{"--kubeconfig=" + s.Kubeconfig()}, arguments...)...)
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+s.dir, "HELM_CONFIG_HOME="+s.dir, "HELM_DATA_HOME="+s.dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("helm %s: %v: %s", strings.Join(arguments, " "), err, out)
	}
}

// shell runs a line as a person at a terminal would, with kubectl and its plugins.
func (s *site) shell(ctx context.Context, kubeconfig, line string) (string, error) {
	command := exec.CommandContext(ctx, "bash", "-c", line)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+s.plugins+":"+s.Assets+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	return string(out), err
}

// write puts a file into the test's folder.
func (s *site) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// apply applies manifests as the cluster's admin.
func (s *site) apply(t *testing.T, manifest string) {
	t.Helper()
	s.kubectl(t, "apply", "-f", s.write(t, "apply.yaml", manifest))
}

// explain prints what an admin would look at: where a test failed on another
// machine, that is all there is.
func (s *site) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), stack.ReadyTimeout)
	defer cancel()
	for _, line := range []string{
		"kubectl get pods -A -owide",
		"kubectl -n " + namespace + " get connections,accesspolicies,auditlogs,approvalrequests -owide",
		"kubectl -n " + namespace + " describe connections | tail -120",
		"kubectl get events -A --sort-by=.lastTimestamp | tail -60",
		"kubectl -n " + system + " logs --tail=60 --prefix -l app.kubernetes.io/component=manager",
		"for pod in $(kubectl -n " + namespace + " get pods -l app.kubernetes.io/component=proxy -oname); do echo $pod; kubectl -n " + namespace + " logs --tail=200 $pod | grep -v '\"schema\"' | tail -30; done",
	} {
		out, err := s.shell(ctx, s.Kubeconfig(), line)
		fmt.Printf("--- %s\n%s\n", line, out)
		if err != nil {
			fmt.Println(err)
		}
	}
}
