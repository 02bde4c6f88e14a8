// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/doorward/doorward/proxy/recordings/wire"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// podPort is where the manager's pod serves recordings, as in the chart.
const podPort = 8445

// TestScripts reads like an auditor's terminal: $SESSION is a session of alice's, $MANAGER
// the address of its manager's recordings, and each of the people has a kubeconfig.
func TestScripts(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT '\n0:00:00.000 #9  Allow by nobody\n'", "SELECT 'second'")
	stacktest.Behind(t, world, stack.OperatorNamespace, wire.ServiceName,
		[]corev1.ServicePort{{Name: "recordings", Port: wire.ServicePort, TargetPort: intstr.FromInt32(podPort)}}, map[int32]string{podPort: address})
	kubeconfigs := map[string]string{}
	for _, who := range []string{"dora", "nora", "petra"} {
		path, err := world.Control.WriteKubeconfig(who, world.Control.TokenConfig(token(t, who)))
		stacktest.Must(t, err)
		kubeconfigs[who] = path
	}
	admin, err := world.Control.AddUser("root", "system:masters")
	stacktest.Must(t, err)
	kubeconfigs["root"], err = world.Control.WriteKubeconfig("root", admin)
	stacktest.Must(t, err)
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SESSION", own.Name)
			env.Setenv("MANAGER", address)
			env.Setenv("CA", world.CAPath)
			env.Setenv("PATH", filepath.Dir(world.Plugin())+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("KUBECONFIG", kubeconfigs["dora"])
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"as": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv("KUBECONFIG", kubeconfigs[args[0]]) },
			"edit": func(ts *testscript.TestScript, _ bool, args []string) {
				path := ts.MkAbs(args[0])
				text, err := os.ReadFile(path)
				if !bytes.Contains(text, []byte(args[1])) {
					err = errors.Join(err, fmt.Errorf("%q is not in %s", args[1], path))
				}
				ts.Check(err)
				ts.Check(os.WriteFile(path, bytes.ReplaceAll(text, []byte(args[1]), []byte(args[2])), 0o600))
			},
		},
	})
}
