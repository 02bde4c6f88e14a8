// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// objects are the Connection and the IdentityProvider that the records name, and the policy
// by which staff's addresses are masked.
//
//go:embed objects.yaml
var objects string

// replays measures the plugin, run as a user runs it: it verifies the log of a proxy, and
// replays what is in it.
func replays(ctx context.Context, s settings) (err error) {
	root, err := os.MkdirTemp(s.dir, "doorward-bench-")
	if err != nil {
		return fmt.Errorf("cannot make a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	log, policies := filepath.Join(root, "log"), filepath.Join(root, "policies.yaml")
	if err := os.WriteFile(policies, []byte(objects+candidates()), 0o600); err != nil {
		return err
	}
	if err := writeLog(ctx, log, s.operations); err != nil {
		return fmt.Errorf("cannot write the records: %w", err)
	}
	size, err := sizeOf(log)
	if err != nil {
		return err
	}
	fmt.Printf("%d operations in a log of %d MiB, 200 rules.\n\n", s.operations, size>>20)
	fmt.Println("| command | seconds | CPU seconds | MiB of memory at most |")
	fmt.Println("|---|---:|---:|---:|")
	if _, err := command(ctx, s, 0, "audit", "verify", log); err != nil {
		return err
	}
	output, err := command(ctx, s, 1, "policy", "replay", "--policies", policies, "--records", log, "-o", "json")
	if err != nil {
		return err
	}
	return check(output, s.operations)
}

// command runs the plugin, prints what it took, and returns its output.
func command(ctx context.Context, s settings, code int, arguments ...string) ([]byte, error) {
	var output, failure bytes.Buffer
	cmd := exec.CommandContext(ctx, s.plugin, arguments...)
	cmd.Stdout, cmd.Stderr = &output, &failure
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if cmd.ProcessState == nil {
		return nil, fmt.Errorf("cannot run the plugin: %w", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		return nil, fmt.Errorf("%s %s: exit code %d, want %d: %s", s.plugin, strings.Join(arguments, " "), got, code, failure.String())
	}
	state := cmd.ProcessState
	memory := int64(0)
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		memory = usage.Maxrss / 1024
	}
	fmt.Printf("| %s | %.1f | %.1f | %d |\n", strings.Join(arguments[:2], " "), took.Seconds(), (state.UserTime() + state.SystemTime()).Seconds(), memory)
	return output.Bytes(), nil
}

// check makes sure that the replay has decided everything: one operation of twenty is
// refused by the candidates.
func check(output []byte, operations int) error {
	var report struct {
		Decided int64 `json:"decided"`
		Changes []struct {
			Change string `json:"change"`
			Count  int64  `json:"count"`
		} `json:"changes"`
	}
	if err := json.Unmarshal(output, &report); err != nil {
		return fmt.Errorf("cannot read the report: %w", err)
	}
	denied := int64(0)
	for _, c := range report.Changes {
		denied += c.Count
	}
	if report.Decided != int64(operations) || denied != int64(operations/20) {
		return fmt.Errorf("%d operations decided and %d refused, want %d and %d: %.2000s", report.Decided, denied, operations, operations/20, output)
	}
	return nil
}

// candidates are 200 rules in 20 policies.
func candidates() string {
	var text strings.Builder
	for group := range recordedGroups {
		fmt.Fprintf(&text, `---
apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata:
  name: group-%[1]d
  namespace: shop-access
spec:
  mode: Enforce
  when: []
  subjects:
    - kind: Group
      name: group-%[1]d
      identityProvider: company
  connections:
    - name: orders-db
  masks: []
  limits: []
  targetRole: ""
  rules:
    - {name: read, effect: Allow, actions: [select], resources: ["public.*"]}
`, group)
		for r := range 9 {
			action, resource := "delete", fmt.Sprintf("public.table_%d*", r)
			if group == 9 && r == 8 {
				action, resource = "select", "*9"
			}
			fmt.Fprintf(&text, "    - {name: no-%d, effect: Deny, actions: [%s], resources: [%q]}\n", r, action, resource)
		}
	}
	return text.String()
}

func sizeOf(dir string) (size int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}
