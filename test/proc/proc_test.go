// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/test/proc"
)

// parentVariable makes the test binary start a child of its own, say its id and hang.
const parentVariable = "DOORWARD_PROC_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		child, err := proc.Start(proc.Command{Path: "sleep", Args: []string{"600"}, Output: filepath.Join(dir, "child.log")})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(child.PID())
		<-child.Done()
	}
	if os.Getenv(portsVariable) != "" {
		printPorts()
	}
	os.Exit(m.Run())
}

func start(t *testing.T, script string) *proc.Process {
	t.Helper()
	p, err := proc.Start(proc.Command{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Output: filepath.Join(t.TempDir(), "out"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL); <-p.Done() })
	return p
}

func TestEarlyExitIsReportedWithItsOutput(t *testing.T) {
	p := start(t, "echo the reason; exit 3")
	err := p.WaitReady(t.Context(), time.Millisecond, func(context.Context) error { return errors.New("not yet") })
	if !errors.Is(err, proc.ErrExited) {
		t.Fatalf("got %v, want ErrExited", err)
	}
	for _, want := range []string{"script", "exit status 3", "the reason"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestStopIsPoliteFirst(t *testing.T) {
	p := start(t, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done`)
	err := p.WaitReady(t.Context(), time.Millisecond, func(context.Context) error {
		return contains(p.Output(), "up")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := contains(p.Output(), "bye"); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestChildDiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for alive(child) {
		select {
		case <-deadline.C:
			t.Fatal("the child outlived its parent")
		default:
			runtime.Gosched()
		}
	}
}

// alive says whether the process runs; one that nobody has waited for is dead.
func alive(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(status), ") Z ")
}

func contains(path, want string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(content), want) {
		return fmt.Errorf("output %q does not say %q", content, want)
	}
	return nil
}
