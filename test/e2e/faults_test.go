// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/testenv"
)

// outage is how long the API server stays away.
func outage() time.Duration {
	if long() {
		return 2 * time.Minute
	}
	return 40 * time.Second
}

// faults are in the order in which they happen.
func (b *bench) faults() []fault {
	return []fault{
		{name: "PodDeleted", what: "a proxy's pod is deleted by force (volume claim)", do: b.deletePod},
		{name: "PodDeletedWithoutVolume", what: "a proxy's pod is deleted by force (no volume, durability Remote)", do: b.deletePodAndDisk},
		{name: "ProxyKilled", what: "a proxy's process is killed (volume claim)", do: b.killLocal},
		{name: "ProxyKilledWithoutVolume", what: "a proxy's process is killed (no volume, durability Remote)", do: b.killRemote},
		{name: "KubeletRestarted", what: "the node's kubelet is restarted", do: b.restartKubelet},
		{name: "ManagerKilled", what: "the leading manager's process is killed", do: b.killManager, well: b.led},
		{name: "APIServerAway", what: fmt.Sprintf("the API server is away for %.0f s", outage().Seconds()), do: b.loseAPIServer, outage: true},
		{name: "ServingCertificate", what: "the serving certificates are replaced", do: b.replaceCertificates, well: b.newCertificates},
		{name: "Credential", what: "the target's credential is replaced", do: b.replaceCredential, well: b.newCredential},
		{name: "EtcdRestored", what: "etcd is restored from a backup", do: b.restoreEtcd, outage: true},
		{name: "Rollout", what: "an image of another version is rolled out, managers and proxies", do: b.rollout, well: b.runs(secondVersion)},
	}
}

// deletePod removes a proxy's pod from under its sessions; its volume stays.
func (b *bench) deletePod(t *testing.T) map[string]bool {
	t.Helper()
	return b.removePod(t, local)
}

// deletePodAndDisk does the same where the log goes with the pod.
func (b *bench) deletePodAndDisk(t *testing.T) map[string]bool {
	t.Helper()
	ends := b.removePod(t, remote)
	for instance := range ends {
		b.lose(t, instance)
	}
	return ends
}

func (b *bench) removePod(t *testing.T, connection string) map[string]bool {
	t.Helper()
	pod := b.busiest(t, connection)
	b.kubectl(t, "-n", namespace, "delete", "pod", pod.Name, "--force", "--grace-period=0")
	return map[string]bool{pod.Name: true}
}

func (b *bench) killLocal(t *testing.T) map[string]bool {
	t.Helper()
	return b.killProxy(t, local)
}

func (b *bench) killRemote(t *testing.T) map[string]bool {
	t.Helper()
	return b.killProxy(t, remote)
}

func (b *bench) restartKubelet(t *testing.T) map[string]bool {
	t.Helper()
	if err := b.Kubelet.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	return nil
}

// busiest is the proxy with most of the sessions.
func (b *bench) busiest(t *testing.T, connection string) corev1.Pod {
	t.Helper()
	if err := b.records.Read(b.sink.records); err != nil {
		t.Fatal(err)
	}
	busy := map[string]int{}
	for _, name := range b.load.Live() {
		if session := b.records.Session(name); session != nil {
			busy[session.Instance]++
		}
	}
	return slices.MaxFunc(b.proxies(t, connection), func(a, b corev1.Pod) int { return cmp.Compare(busy[a.Name], busy[b.Name]) })
}

// lose notes that a proxy's log ended with its disk.
func (b *bench) lose(t *testing.T, instance string) {
	t.Helper()
	if err := b.records.Read(b.sink.records); err != nil {
		t.Fatal(err)
	}
	for _, session := range b.records.Sessions {
		if session.Instance == instance {
			b.gone[session.Log] = true
		}
	}
}

// killProxy ends a proxy's process as a crash does; its container is restarted.
func (b *bench) killProxy(t *testing.T, connection string) map[string]bool {
	t.Helper()
	pod := b.busiest(t, connection)
	b.kill(t, &pod, "/proxy")
	return map[string]bool{pod.Name: true}
}

// kill kills the process of a pod's container by its program.
func (b *bench) kill(t *testing.T, pod *corev1.Pod, program string) {
	t.Helper()
	pid, err := process(string(pod.UID), program)
	if err != nil {
		t.Fatalf("pod %q: %v", pod.Name, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// process finds the process of a pod by the pod's control group.
func process(uid, program string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		groups, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(groups), "pod"+uid) {
			continue
		}
		dir := filepath.Dir(file)
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.HasPrefix(string(line), program+"\x00") {
			continue
		}
		return strconv.Atoi(filepath.Base(dir))
	}
	return 0, fmt.Errorf("no process %q in it", program)
}

// leader is who holds the managers' lease: the pod's name, "_" and what is the process's own.
func (b *bench) leader(ctx context.Context) (string, error) {
	var leases coordinationv1.LeaseList
	if err := b.admin.List(ctx, &leases, client.InNamespace(system)); err != nil {
		return "", err
	}
	for i := range leases.Items {
		if holder := leases.Items[i].Spec.HolderIdentity; holder != nil && strings.HasPrefix(*holder, "doorward-manager-") {
			return *holder, nil
		}
	}
	return "", errors.New("no manager leads")
}

func (b *bench) killManager(t *testing.T) map[string]bool {
	t.Helper()
	var err error
	if b.former, err = b.leader(t.Context()); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(b.former, "_")
	var pod corev1.Pod
	if err := b.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: name}, &pod); err != nil {
		t.Fatal(err)
	}
	b.kill(t, &pod, "/manager")
	return nil
}

// led says whether another process leads.
func (b *bench) led(ctx context.Context) error {
	leader, err := b.leader(ctx)
	if err != nil {
		return err
	}
	if leader == b.former {
		return fmt.Errorf("the lease is still that of %q, which was killed", leader)
	}
	return nil
}

func (b *bench) loseAPIServer(t *testing.T) map[string]bool {
	t.Helper()
	if err := b.APIServer.Kill(); err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(outage())
	<-timer.C
	if err := b.APIServer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return nil
}

// instances are the names of all proxies of now.
func (b *bench) instances(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, connection := range []string{local, remote} {
		for _, pod := range b.proxies(t, connection) {
			names[pod.Name] = true
		}
	}
	return names
}

// rollout upgrades the release to an image of the same code with another version.
func (b *bench) rollout(t *testing.T) map[string]bool {
	t.Helper()
	ends := b.instances(t)
	b.helmUp(t, testenv.Root(), secondVersion)
	return ends
}

// runs says whether all pods of ours run an image.
func (b *bench) runs(version string) func(context.Context) error {
	return func(ctx context.Context) error {
		var pods corev1.PodList
		if err := b.admin.List(ctx, &pods, client.MatchingLabels{"app.kubernetes.io/name": "doorward"}); err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if image := pod.Spec.Containers[0].Image; image != repository+":"+version {
				return fmt.Errorf("pod %q runs %s", pod.Name, image)
			}
		}
		return nil
	}
}
