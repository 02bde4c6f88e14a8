// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// realShell is a shell that is installed, and how it runs a line.
type realShell struct {
	name string
	// as are the account's shells that it may be behind.
	as   []command.Shell
	argv []string
}

// realShells are those of this machine: dash and bash are everywhere, busybox and mksh where they are in PATH.
func realShells(tb testing.TB) []realShell {
	tb.Helper()
	var out []realShell
	for _, s := range []realShell{
		{"dash", []command.Shell{command.Dash, command.Sh}, []string{"dash"}},
		{"bash", []command.Shell{command.Bash}, []string{"bash"}},
		{"bash as sh", []command.Shell{command.Sh}, []string{"bash", "--posix"}},
		{"busybox", []command.Shell{command.Ash, command.Sh}, []string{"busybox", "ash"}},
		{"mksh", []command.Shell{command.Mksh, command.Sh}, []string{"mksh"}},
	} {
		path, err := exec.LookPath(s.argv[0])
		if err != nil {
			tb.Logf("%s is not installed, and so not compared with", s.name)
			continue
		}
		s.argv = append([]string{path}, s.argv[1:]...)
		out = append(out, s)
	}
	if len(out) == 0 {
		tb.Skip("no shell is installed: install dash or bash")
	}
	return out
}

// A yard is a scratch directory in which lines run. Its PATH has stubs that log their names, and
// for programs that run others a stub that logs and then is the real one.
type yard struct {
	root string
	log  string
}

// stubs are all programs that lines may name; passing are those that really run.
var (
	stubs = strings.Fields("uptime ls cat grep ps df systemctl rm tee mkdir sleep date hostname gzip python3 perl ruby node psql vi less man sudo su doas ssh git tar " +
		"rsync sort head tail wc awk sed f x y rmx forbidden evil sleeper tmux docker make")
	passing = strings.Fields("env nice nohup timeout xargs find sh bash dash setsid stdbuf time mksh busybox")
)

func newYard(tb testing.TB) *yard {
	tb.Helper()
	y := &yard{root: tb.TempDir()}
	y.log = filepath.Join(y.root, "log", "ran")
	dash, err := exec.LookPath("dash")
	if err != nil {
		dash = "/bin/sh"
	}
	for _, dir := range []string{"path", "home", "work", "bin", "usr/bin", "tmp", "dev", "log"} {
		if err := os.MkdirAll(filepath.Join(y.root, dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	write := func(dir, name, then string) {
		script := fmt.Sprintf("#!%s\necho '%s' >> '%s'\n%s\n", dash, name, y.log, then)
		if err := os.WriteFile(filepath.Join(y.root, dir, name), []byte(script), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	for _, name := range stubs {
		write("path", name, "echo "+name+"-out")
	}
	for _, dir := range []string{"work", "home", "bin", "usr/bin", "tmp"} {
		for _, name := range []string{"rm", "uptime", "evil"} {
			write(dir, name, "")
		}
	}
	for _, name := range passing {
		if program, err := exec.LookPath(name); err == nil {
			write("path", name, "exec '"+program+"' \"$@\"")
		}
	}
	for _, file := range []string{"log/ran", "dev/null", "work/a.txt", "work/-delete", "work/--checkpoint-action=exec=evil", "work/b c"} {
		if err := os.WriteFile(filepath.Join(y.root, file), []byte("evil\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	y.give(tb)
	return y
}

// absolute finds paths from the root, which a line must not reach.
var absolute = regexp.MustCompile(`(^|[^A-Za-z0-9_.~/-])/+(\w)`)

// confine moves the paths of a line into the yard, so that nothing of this machine is touched.
func (y *yard) confine(line string) string {
	return absolute.ReplaceAllString(line, "$1"+y.root+"/$2")
}

// nobody is the account that lines run under where the test is root's.
const nobody = 65534

// give hands the yard to nobody, where this is root, so that lines can do no harm.
func (y *yard) give(tb testing.TB) {
	tb.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chmod(filepath.Dir(y.root), 0o711); err != nil {
		tb.Fatal(err)
	}
	err := filepath.WalkDir(y.root, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// run runs a line as sshd would, and returns the names of what ran.
func (y *yard) run(ctx context.Context, shell realShell, line string) ([]string, error) {
	if err := os.Truncate(y.log, 0); err != nil {
		return nil, err
	}
	// Some lines loop for ever: what ran until then is compared.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	argv := append(slices.Clone(shell.argv), "-c", line)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(y.root, "work")
	cmd.Env = []string{
		"PATH=" + filepath.Join(y.root, "path"), "HOME=" + filepath.Join(y.root, "home"), "X=evil", "CMD=evil x", "Y=-delete",
		"EDITOR=evil", "PAGER=evil", "SHELL=" + filepath.Join(y.root, "path", "evil"), "n=a[$(evil)]", "i=a[$(evil)]", "LANG=C.UTF-8",
	}
	cmd.Stdin = strings.NewReader("evil\nevil x\n-delete\n$(evil)\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	_ = cmd.Run() // a line may fail as it likes; what ran is in the log
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // jobs that are left must not write into the next line's log
	}
	ran, err := os.ReadFile(y.log)
	return strings.Fields(string(ran)), err
}

// names are the commands of a line by name.
func names(l command.Line) []string {
	var out []string
	for i := range l.Commands {
		out = append(out, l.Commands[i].Name)
	}
	return out
}

// compare runs a line in a shell, where the reader lets it through for it, and says what ran that was not read.
func (y *yard) compare(ctx context.Context, shell realShell, line string) (ran bool, err error) {
	if strings.Contains(line, "kill") {
		return false, nil // processes are no files of the yard
	}
	line = y.confine(line)
	for _, as := range shell.as {
		l := command.Read(line, command.Options{Shell: as})
		if len(l.Unknown) > 0 {
			continue
		}
		ran = true
		got, err := y.run(ctx, shell, line)
		if err != nil {
			return ran, err
		}
		want := names(l)
		for _, name := range got {
			if !slices.Contains(want, name) {
				return ran, fmt.Errorf("%s ran %s of %q, which was read for %s as %v", shell.name, name, line, as, want)
			}
		}
	}
	return ran, nil
}

// compareAll compares many lines in all shells, on as many yards as there are workers.
func compareAll(t *testing.T, lines []string) {
	t.Helper()
	shells := realShells(t)
	work := make(chan string)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ran, ways := 0, 0
	for range 2 {
		y := newYard(t)
		wg.Go(func() {
			for line := range work {
				passed := false
				for _, shell := range shells {
					did, err := y.compare(t.Context(), shell, line)
					if err != nil {
						t.Error(err)
					}
					if did {
						passed = true
						mu.Lock()
						ways++
						mu.Unlock()
					}
				}
				if passed {
					mu.Lock()
					ran++
					mu.Unlock()
				}
			}
		})
	}
	for _, line := range lines {
		work <- line
	}
	close(work)
	wg.Wait()
	t.Logf("%d lines, of which %d were let through and ran, in %d ways", len(lines), ran, ways)
}

// TestRealShells is checklist 8 against the real thing: of no line that is let through does any shell
// run a program that was not read.
func TestRealShells(t *testing.T) {
	var lines []string
	for _, e := range evasions() {
		lines = append(lines, e.line)
	}
	for _, h := range slices.Concat(honestLines, honestScripts, honestPrograms) {
		lines = append(lines, h.line)
	}
	compareAll(t, lines)
}

// TestYard is that the comparison sees what it is for: a program that is not read is found.
func TestYard(t *testing.T) {
	y := newYard(t)
	shell := realShells(t)[0]
	for _, line := range []string{"uptime; $X", "env evil", "sh -c 'evil x'", "echo evil | xargs env", "find . -exec evil \\;"} {
		got, err := y.run(t.Context(), shell, line)
		if err != nil || !slices.Contains(got, "evil") {
			t.Errorf("%q ran %v, %v: the yard does not see evil", line, got, err)
		}
	}
}
