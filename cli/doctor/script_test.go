// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/doctor"
	"github.com/doorward/doorward/test/script"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

var world *stack.Stack

// suite starts a whole installation for the tests, and not for the plugin's processes.
type suite struct{ m *testing.M }

func (s suite) Run() int { return stacktest.Run(s.m, &world, stack.Options{LeaderElection: true}) }

func TestMain(m *testing.M) {
	script.Main(suite{m}, []func(genericiooptions.IOStreams) *cobra.Command{doctor.NewCommand}, nil)
}

// TestScripts reads like an admin's terminal. What a script breaks it mends: there is one
// installation, and one script that breaks it.
func TestScripts(t *testing.T) {
	admin, err := world.Control.WriteKubeconfig("admin", world.Control.RESTConfig)
	stacktest.Must(t, err)
	alice, err := world.User("alice", "analysts")
	stacktest.Must(t, err)
	reader, err := world.Control.WriteKubeconfig("alice", alice)
	stacktest.Must(t, err)
	// Proxies report on sinks a moment after they have become ready.
	stacktest.Await(t, "the sinks", func(ctx context.Context) error {
		var all v1alpha1.LogSinkList
		if err := world.Admin.List(ctx, &all); err != nil {
			return err
		}
		for i := range all.Items {
			if s := &all.Items[i]; !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("LogSink %q is not ready: %+v", s.Name, s.Status.Conditions)
			}
		}
		return nil
	})
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("KUBECONFIG", admin)
			env.Setenv("ALICE", reader)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PATH", world.Control.Assets+string(filepath.ListSeparator)+env.Getenv("PATH"))
			return nil
		},
	})
}
