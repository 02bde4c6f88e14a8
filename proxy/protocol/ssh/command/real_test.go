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
	"github.com/doorward/doorward/proxy/protocol/ssh/command/commandtest"
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
		"rsync sort head tail wc awk sed f x y rmx forbidden evil sleeper tmux docker make curl cp chmod kubectl")
	passing = strings.Fields("env nice nohup timeout xargs find sh bash dash setsid stdbuf time mksh busybox flock ionice")
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
		script := fmt.Sprintf("#!%s\nl=%s\nfor a do l=\"$l\x1f$a\"; done\nprintf '%%s\\036' \"$l\" >> '%s'\n%s\n", dash, name, y.log, then)
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

// run runs a line as sshd would, and returns what ran: names and arguments.
func (y *yard) run(ctx context.Context, shell realShell, line string) ([][]string, error) {
	if err := os.Truncate(y.log, 0); err != nil {
		return nil, err
	}
	// Some lines loop for ever: what ran until then is compared.
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	argv := append(slices.Clone(shell.argv), "-c", line)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(y.root, "work")
	cmd.Env = []string{
		"PATH=" + filepath.Join(y.root, "path"), "HOME=" + filepath.Join(y.root, "home"), "X=evil", "CMD=evil x", "Y=-delete",
		"EDITOR=evil", "PAGER=evil", "SHELL=/bin/sh", "n=a[$(evil)]", "i=a[$(evil)]", "LANG=C.UTF-8",
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
	if err := y.wait(cmd); err != nil {
		return nil, err
	}
	ran, err := os.ReadFile(y.log)
	var commands [][]string
	for one := range strings.SplitSeq(strings.TrimSuffix(string(ran), "\x1e"), "\x1e") {
		if one != "" {
			commands = append(commands, strings.Split(one, "\x1f"))
		}
	}
	return commands, err
}

// fits says that a command that ran is one that was read: its name, and its arguments as far as they
// are certain.
func (y *yard) fits(ran []string, c *command.Command) bool {
	return ran[0] == c.Name && y.fit(ran[1:], c.Args)
}

func (y *yard) fit(ran []string, words []command.Word) bool {
	if len(words) == 0 {
		return len(ran) == 0
	}
	w := words[0]
	text := w.Text
	if home, found := strings.CutPrefix(text, "~"); found && w.Form != command.Literal {
		text = filepath.Join(y.root, "home") + home
	}
	switch w.Form {
	case command.Literal:
		return len(ran) > 0 && ran[0] == text && y.fit(ran[1:], words[1:])
	case command.Partial:
		return len(ran) > 0 && strings.HasPrefix(ran[0], text) && y.fit(ran[1:], words[1:])
	default:
	}
	for n := 0; ; n++ { // any number of words
		if y.fit(ran[n:], words[1:]) {
			return true
		}
		if n == len(ran) || !strings.HasPrefix(ran[n], text) {
			return false
		}
	}
}

// wait runs a command until it and all jobs that it left have ended: they hold the end of a pipe. What
// has not ended by then is killed, so that it does not write into the next line's log.
func (y *yard) wait(cmd *exec.Cmd) error {
	held, holds, err := os.Pipe()
	if err != nil {
		return err
	}
	defer held.Close()
	cmd.ExtraFiles = []*os.File{holds}
	err = cmd.Start()
	if closing := holds.Close(); err != nil || closing != nil {
		return errors.Join(err, closing)
	}
	_ = cmd.Wait() // a line may fail as it likes; what ran is in the log
	if err := held.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	_, _ = held.Read(make([]byte, 1)) // ends when nobody holds it, or at the deadline
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return nil
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
		for _, one := range got {
			if !slices.ContainsFunc(l.Commands, func(c command.Command) bool { return y.fits(one, &c) }) {
				return ran, fmt.Errorf("%s ran %q of %q, which was read for %s as %+v", shell.name, one, line, as, l.Commands)
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
// run a program, or give it an argument, that was not read.
func TestRealShells(t *testing.T) {
	var lines []string
	for _, e := range commandtest.Evasions() {
		lines = append(lines, e.Line)
	}
	for _, h := range commandtest.Honest() {
		lines = append(lines, h.Line)
	}
	compareAll(t, lines)
}

// TestYard is that the comparison sees what it is for: a program that is not read is found.
func TestYard(t *testing.T) {
	y := newYard(t)
	shell := realShells(t)[0]
	for _, line := range []string{"uptime; $X", "env evil", "sh -c 'evil x'", "echo evil | xargs env", "find . -exec evil \\;"} {
		got, err := y.run(t.Context(), shell, line)
		if err != nil || !slices.ContainsFunc(got, func(one []string) bool { return one[0] == "evil" }) {
			t.Errorf("%q ran %v, %v: the yard does not see evil", line, got, err)
		}
	}
}
