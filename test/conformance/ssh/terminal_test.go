// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// terminal is a window of tmux in which a client runs.
type terminal struct {
	*place

	tb testing.TB
}

// newTerminal has tmux run a script in a window of 90 columns and 25 rows, which stays when the
// script has ended.
func newTerminal(tb testing.TB, s side, script string) *terminal {
	tb.Helper()
	t := &terminal{place: s.newPlace(tb), tb: tb}
	t.tmux("new-session", "-d", "-x", "90", "-y", "25", script+"; exec sleep 3600")
	tb.Cleanup(func() { _ = t.place.command(tb, "tmux", "-S", t.socket(), "kill-server").Run() })
	return t
}

func (t *terminal) socket() string { return filepath.Join(t.root, "tmux") }

func (t *terminal) tmux(args ...string) string {
	t.tb.Helper()
	out, err := t.command(t.tb, "tmux", append([]string{"-S", t.socket(), "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		t.tb.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// screen is all that the terminal shows and has shown.
func (t *terminal) screen() string {
	t.tb.Helper()
	return trailing.ReplaceAllString(t.wash(t.tmux("capture-pane", "-p", "-S", "-")), "\n")
}

var (
	trailing = regexp.MustCompile(` +\n`)
	// blank are the ends of lines, and empty ones.
	blank = regexp.MustCompile(`( *\n)+`)
)

// await waits until the screen ends with a text, empty lines aside.
func (t *terminal) await(text string) {
	t.tb.Helper()
	end := time.Now().Add(clientTimeout / 2)
	for {
		screen := t.screen()
		if strings.HasSuffix(blank.ReplaceAllString(screen+"\n", "\n"), text+"\n") {
			return
		}
		if time.Now().After(end) {
			t.tb.Fatalf("%s: the screen does not end with %q:\n%s", t.name, text, screen)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// types enters keys, by tmux's names or literally.
func (t *terminal) types(keys ...string) {
	t.tb.Helper()
	t.tmux(append([]string{"send-keys"}, keys...)...)
}

// TestShell: a shell in a terminal: what is shown, control characters, the terminal's size as it
// changes, programs that draw on the whole of it, and the end.
func TestShell(t *testing.T) {
	t.Parallel()
	shown := func(s side) string {
		term := newTerminal(t, s, `TERM=xterm-256color ssh target; echo "left: $?"`)
		run := func(line, then string) {
			t.Helper()
			term.types("-l", line)
			term.types("Enter")
			term.await(then)
		}
		const prompt = "ready>"
		term.await("#") // the prompt of root's shell, or, below, anybody's
		run("PS1='ready''> '", prompt)
		run("stty size; echo $TERM", "25 90\nxterm-256color\n"+prompt)
		term.tmux("resize-window", "-x", "132", "-y", "43")
		run("stty size", "43 132\n"+prompt)
		// A program is told at once, while it runs.
		run(`sh -c 'trap "stty size; exit" WINCH; echo waiting; while :; do sleep 0.1; done'`, "waiting")
		term.tmux("resize-window", "-x", "80", "-y", "24")
		term.await("24 80\n" + prompt)
		run("echo sleeping; sleep 600", "sleeping")
		term.types("C-c")
		term.await("^C\n" + prompt)
		run("echo $?", "130\n"+prompt)
		run("cat", "cat")
		run("grüße 😀", "grüße 😀\ngrüße 😀")
		term.types("C-d")
		term.await(prompt)
		run(`printf '\033[1;31mred\033[0m\n'`, prompt)
		run("read -r x; echo \"[$x]\"", `"[$x]"`)
		term.types("a", "b", "BSpace", "c", "Enter")
		term.await("[ac]\n" + prompt)
		run("seq 1 100000 | tail -n 30", "100000\n"+prompt)
		run("stty -echo; echo 'hidden'?; read -r secret; stty echo; echo ${#secret}", "hidden?")
		term.types("-l", "hidden")
		term.types("Enter")
		term.await("6\n" + prompt)
		run("exit 7", "left: 7")
		return term.screen()
	}
	compareScreens(t, shown)
}

// TestDrawing: programs that draw on the whole screen, one within the other, as its size changes,
// and a client that is told to leave.
func TestDrawing(t *testing.T) {
	t.Parallel()
	compareScreens(t, func(s side) string {
		term := newTerminal(t, s, `seq 500 >$REMOTE/lines; ssh -t target "cd $REMOTE; exec tmux -S inner -f /dev/null new-session 'PS1=inner\\> sh' \; set-option status off"; echo "left: $?"`)
		term.await("inner>")
		term.types("-l", "stty size; less -Pspage lines")
		term.types("Enter")
		term.await("24\npage")
		term.types("G")
		term.await("500\npage")
		term.types("?", "1", "2", "3", "Enter")
		term.await("146\npage")
		drawn := term.screen()
		term.tmux("resize-window", "-x", "60", "-y", "12")
		term.await("133\npage") // less takes no keys while it draws anew
		term.types("g")
		term.await("11\npage")
		drawn += term.screen()
		term.types("q")
		term.await("inner>")
		term.types("Enter", "~", ".")
		term.await("left: 255")
		return drawn + term.screen()
	})
}

func compareScreens(t *testing.T, shown func(side) string) {
	t.Helper()
	want, got := shown(shared.direct), shown(shared.proxied)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("(-direct +through the proxy):\n%s", clip(diff))
	}
}
