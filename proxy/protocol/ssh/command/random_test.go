// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// grower makes lines at random from a grammar in which every construct of shells that is known to be
// read differently, or to hide something, stands beside the ordinary ones.
type grower struct {
	*rand.Rand
	depth int
}

func (g *grower) one(of ...string) string { return of[g.IntN(len(of))] }

func (g *grower) name() string {
	return g.one("uptime", "ls", "cat", "grep", "rm", "evil", "f", "df", "x")
}

// word is a name or an argument, in some quoting.
func (g *grower) word() string {
	if g.depth > 5 {
		return g.name()
	}
	g.depth++
	defer func() { g.depth-- }()
	switch g.IntN(38) {
	case 0:
		return "'" + g.name() + "'"
	case 1:
		return `"` + g.name() + `"`
	case 2:
		return `\` + g.name()
	case 3:
		n := g.name()
		return n[:1] + g.one(`""`, "''", `\`, "$u", "$@", "${u}", "\\\n", "$''", "`:`") + n[1:]
	case 4:
		return "$" + g.one("X", "CMD", "x", "1", "@", "*", "#", "?", "HOME", "0")
	case 5:
		return `"$` + g.one("X", "CMD", "x", "@", "HOME") + `"`
	case 6:
		return "$(" + g.line() + ")"
	case 7:
		return "`" + g.line() + "`"
	case 8:
		return `"$(` + g.line() + `)"`
	case 9:
		return `"` + "`" + g.line() + "`" + `"`
	case 10:
		return "${" + g.one("X", "u", "x") + g.one(":-", "-", ":=", ":+", "#", "%", "##", ":", "/", "^^", "@", "?") + g.word() + "}"
	case 11:
		return `"${u:-` + g.word() + `}"`
	case 12:
		return "$((" + g.one("1+1", "1/0", "08", "n", "i+1", "a[$(evil)]", g.word(), "1 << 2", "(1)") + "))"
	case 13:
		return g.one("*", "?", "[a-z]*", "{ls,rm}", "{a,b}", "a{1..2}", "~", "~/x", "~+", "{}", "x{", "}", "{", "[", "]", "!", "!!", "[[", "]]", "#", "x#y", "-", "--", "-x", "-delete", "-exec", ";", "+")
	case 14:
		return "$'" + g.one("a", `\x65vil`, `\n`, `\'`, `\\`, `a\'; evil; \'b`, `\145vil`) + "'"
	case 15:
		return `$"` + g.name() + `"`
	case 16:
		return "<(" + g.line() + ")"
	case 17:
		return "'" + g.line() + "'"
	case 18:
		return `"` + strings.NewReplacer(`"`, `\"`, "`", "\\`", "$", `\$`).Replace(g.line()) + `"`
	case 19:
		return g.word() + g.word()
	case 20:
		return g.one(`"'"`, `'"'`, `\'`, `\"`, `\\`, `"\\"`, `'\'`, `"\$X"`, `\$X`, "\\`", `"\a"`, "\\\n", `\;`, `\&`, `"#"`, `\#`, "a\\ b", "é", "'é'")
	case 21:
		return "${" + g.one("#x", "!x", "x[0]", "x@P", "x:1:2", "x:n", "1", "?", "x,,", "X:-}", "u:-\"x\"", "u-'x'", "u:-$(evil)", "HOME%/*") + "}"
	case 22:
		return g.one("'", "\"", "") + g.one("(", ")", "((", "))", "|", "&", ";;", "<(", "$(", "`", "}", "esac", "done", "fi") + g.one("'", "\"", "")
	case 23:
		return g.one("if", "then", "do", "done", "in", "case", "esac", "time", "function", "!", "[[", "]]", "{", "}", "coproc", "select", "let")
	case 24:
		return g.one("-c", "-e", "-I", "-S", "-n", "-s", "-v", "-eq", "=", "-a", "-o", "x=y", "PATH=x", "LANG=C", "--", "-", "{}", "$i", "\"$i\"", "$n")
	default:
		return g.name()
	}
}

func (g *grower) words(most int) string {
	var b strings.Builder
	for range g.IntN(most + 1) {
		b.WriteString(g.one(" ", " ", "  ", "\t", " \\\n"))
		b.WriteString(g.word())
	}
	return b.String()
}

func (g *grower) redirection() string {
	return g.one(" >/dev/null", " 2>&1", " </dev/null", " 2>/dev/null", " >&2", " &>/dev/null", " >&-", " <&-", "2>&1 ", " <<<"+g.word(),
		" >"+g.word(), " 2>"+g.word(), " <"+g.word(), " 12>&1", " {fd}>/dev/null")
}

// simple is a simple command.
func (g *grower) simple() string {
	var b strings.Builder
	if g.IntN(12) == 0 {
		b.WriteString(g.one("x=", "n=", "X=", "LANG=", "PATH=", "x+=", "IFS=", "a[0]=", "i=") + g.one(g.word(), "1", "C", "") + " ")
		if g.IntN(2) == 0 {
			return b.String()
		}
	}
	if g.IntN(20) == 0 {
		b.WriteString(g.redirection())
	}
	if g.IntN(3) == 0 {
		b.WriteString(g.wrapper())
	}
	b.WriteString(g.word())
	b.WriteString(g.words(2))
	if g.IntN(6) == 0 {
		b.WriteString(g.redirection())
	}
	return b.String()
}

// wrapper is what stands before another command.
func (g *grower) wrapper() string {
	return g.one("env ", "env -i ", "env LANG=C ", "env -u X ", "env x=1 ", "env -S ", "nice ", "nice -n 5 ", "nice -5 ", "nohup ", "timeout 9 ", "timeout -s KILL 9 ", "timeout -k 1 ",
		"command ", "command -p ", "command -- ", "exec ", "eval ", "builtin ", "time ", "time -p ", "! ", "setsid -w ", "stdbuf -oL ",
		"sh -c ", "bash -c ", "dash -c ", "sh -ec ", "sh -c -- ", "echo x | xargs ", "echo x | xargs -n1 ", "echo evil | xargs -I{} ", "echo evil | xargs -i ", "echo evil | xargs -Ix ",
		"find . -maxdepth 0 -exec ", "find . -name ", "find ", "trap ", "test ", "[ ", "echo ", "printf ", ": ", "export ", "local ", "readonly ", "declare ", "unset ", "read ", "set ", "cd ", "source ", ". ", "alias ", "busybox ", "sudo ", "wait ", "exit ", "shift ", "i=1; ", "i=0; \\read ", "ionice -c 3 -p 1 ", "i=0; [ $i -lt ", "env -S 'nice -n 1' ", "xargs sh -c ", "nohup sh -c ",
		"sh -c 'i=1; x=2' ", "sh -x ", "bash -lc ", "time env ", "exec env ", "command env ", "eval \"", "env -u\"$u\" ", "xargs -a\"$u\" ", "nice -n\"$u\" ", "timeout -s\"$u\" 9 ", "timeout $i ", "env $i ", "xargs -n $i ", "flock a.txt ", "flock -n a.txt -c ", "flock -w 1 a.txt ", "ionice -c 3 ", "busybox env ", "busybox sh -c ", "busybox xargs ", "LANG=C ", "x=1 ", "2>&1 ", "</dev/null ")
}

func (g *grower) compound() string {
	a, b := g.line(), g.line()
	switch g.IntN(30) {
	case 24:
		return g.comparison()
	case 27:
		return g.one("echo $((1/0)); ", "", "j=$((1/0)) ", ": ; ") + g.one("i=0", "i=$((1/0))", "n=$((08))", "evil() { uptime; }", "f() { uptime; }") + g.one("\n", "; ", "; "+a+"\n", "; echo $((1/0))\n") +
			g.one("echo $((i))", "echo $((n))", "evil x", "f", b)
	case 25:
		return "echo x | xargs " + g.options("-I{} ", "-i ", "-Ix ", "-n 1 ", "-n 2 ", "-L 1 ", "-l ", "-r ", "-P 2 ") + g.one("env ", "nice ", "ls {} ", "{} ", "sh -c x ", "sh -c 'ls \"$1\"' _ ", "") + g.words(2)
	case 26:
		return "find . -maxdepth 0 -exec " + g.word() + g.one(" {} +", " {} x +", " + ", " {} \\;", " \\;") + " -exec " + g.word() + g.one(" {} +", " {} \\;", " \\; ")
	case 0:
		return "{ " + a + "; }"
	case 1:
		return "(" + a + ")"
	case 2:
		return "( " + a + " )"
	case 3:
		return "if " + a + "; then " + b + "; fi"
	case 4:
		return "if false; then " + a + "; else " + b + "; fi"
	case 5:
		return "for " + g.one("x", "X", "i", "PATH") + " in " + g.word() + " " + g.word() + "; do " + a + "; done"
	case 6:
		return "case " + g.word() + " in " + g.word() + g.one(")", "|x)", " )") + " " + a + g.one(";;", ";&", "") + " esac"
	case 7:
		return g.one("f", "x", "ls", "cd", "uptime") + g.one("() ", "()", " () ") + g.one("{ "+a+"; }", "("+a+")", a) + "; " + b
	case 8:
		return "function f { " + a + "; }; " + b
	case 9:
		return "[[ " + g.word() + g.one(" = ", " == ", " -eq ", " =~ ", " < ", " && ") + g.word() + " ]] && " + b
	case 10:
		return "((" + g.one("1", "n", "n=1", "i++", a) + "))"
	case 11:
		return "cat <<" + g.one("EOF", "'EOF'", "\"EOF\"", "-EOF", "\\EOF", "E\"O\"F") + g.one("", "; "+b, " | "+b) + "\n" + g.one("x", "$X", a, "$("+a+")", "`"+a+"`", "a\\", "\tx") + "\n" + g.one("EOF", "\tEOF", " EOF", "EOF ") + "\n" + b
	case 12:
		return "while false; do " + a + "; done"
	case 13:
		return "i=0; [ $i -lt 1 ]; " + g.one("i=1", "i=$((i+1))", "echo $((i))", a)
	case 14:
		return "coproc " + a
	case 15:
		return "{ " + a + "; } " + g.redirection()
	case 16:
		return "! { " + a + "; }"
	case 17:
		return "# " + a + "\n" + b
	case 18:
		return "time { " + a + "; }"
	case 19:
		return "f() { " + a + "; }\n" + g.one("f", "env f", "command f", "eval f", "f | f", "unset -f f; f", "sh -c f", "(f)", "trap f EXIT") + "; " + b
	case 20:
		return "trap " + g.one("'"+a+"'", "\""+a+"\"", g.word()) + g.one(" EXIT", " 0", " DEBUG", " ERR", "", " RETURN")
	case 21:
		return "for i in 1 2; do " + g.one("echo $((i))", "ls $i", "ls $((i+1))", a) + "; done; " + g.one("echo $((i))", b)
	case 22:
		return "while read x; do " + a + "; break; done"
	case 23:
		return "set " + g.one("-e", "-u", "-x", "-f", "-a", "-k", "-- x", "-o pipefail", "-o posix", "+e") + "; " + a
	default:
		return "(" + a + ") " + g.redirection()
	}
}

// options are some of them, in any order.
func (g *grower) options(of ...string) string {
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString(g.one(of...))
	}
	return b.String()
}

// comparison is a test of words that may be its operators, behind variables that hold some.
func (g *grower) comparison() string {
	var b strings.Builder
	b.WriteString("x=" + g.one("-eq", "-v", "-n", "'('", "!") + "; y=" + g.one("-a", "-o", "-lt", "n", "-t") + "; [")
	for range 1 + g.IntN(8) {
		b.WriteString(" " + g.one(`"$x"`, `"$y"`, `"$n"`, "n", "1", "-n", "-z", "-a", "-o", "=", "!=", "-eq", "!", "-v", "-t", "'a[$(evil)]'", "\\("))
	}
	return b.String() + " ]"
}

// line is a list of commands.
func (g *grower) line() string {
	if g.depth > 5 {
		return g.name()
	}
	g.depth++
	defer func() { g.depth-- }()
	var b strings.Builder
	for i := range 1 + g.IntN(2) {
		if i > 0 {
			b.WriteString(g.one("; ", " && ", " || ", " | ", " & ", "\n", ";", "|", "&", "&&", " |& ", " # x\n", ";\n"))
		}
		if g.IntN(5) == 0 {
			b.WriteString(g.compound())
		} else {
			b.WriteString(g.simple())
		}
	}
	return b.String()
}

// torn is a line in which some characters were changed, put in or left out.
func (g *grower) torn(line string) string {
	const special = "'\"\\`$(){}[]<>|&;#!~*?=\n\t ,-:+%^@axi1"
	b := []byte(line)
	for range 1 + g.IntN(3) {
		at, c := g.IntN(len(b)+1), special[g.IntN(len(special))]
		switch {
		case at == len(b) || g.IntN(2) == 0:
			b = slices.Insert(b, at, c)
		case g.IntN(2) == 0:
			b[at] = c
		default:
			b = slices.Delete(b, at, at+1)
		}
	}
	return string(b)
}

// TestRandomLines compares lines of a grammar with the shells. DOORWARD_LINES is how many are to be let
// through and run (400 where it is unset), DOORWARD_SEED with which they begin.
func TestRandomLines(t *testing.T) {
	want, seed := number(t, "DOORWARD_LINES", 400), number(t, "DOORWARD_SEED", 1)
	g := &grower{Rand: rand.New(rand.NewPCG(uint64(seed), 8))}
	var lines []string
	made := 0
	for ; len(lines) < want; made++ {
		line := g.line()
		if g.IntN(2) == 0 {
			line = g.torn(line)
		}
		for _, shell := range everyShell {
			if l := command.Read(line, command.Options{Shell: shell}); len(l.Unknown) == 0 && len(line) < 4096 {
				lines = append(lines, line)
				break
			}
		}
	}
	t.Logf("seed %d: %d lines made, of which %d are let through for some shell", seed, made, len(lines))
	compareAll(t, lines)
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%q is no number: %v", name, s, err)
	}
	return n
}
