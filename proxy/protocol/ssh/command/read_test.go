// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

func literal(texts ...string) []command.Word {
	words := make([]command.Word, len(texts))
	for i, text := range texts {
		words[i] = command.Word{Text: text}
	}
	return words
}

// TestRead is what of a line policy and record get to see.
func TestRead(t *testing.T) {
	for _, tc := range []struct {
		line   string
		want   command.Line
		reason string
	}{
		{
			`sudo -u app env LANG=C timeout 5 /usr/bin/systemctl --no-pager status 'a b' > /dev/null`,
			command.Line{
				Commands: []command.Command{
					{Name: "sudo", Args: literal("-u", "app", "env", "LANG=C", "timeout", "5", "/usr/bin/systemctl", "--no-pager", "status", "a b")},
					{
						Name: "env", Args: literal("LANG=C", "timeout", "5", "/usr/bin/systemctl", "--no-pager", "status", "a b"), Via: []string{"sudo"}, As: "app", Indirect: true,
						Environment: []command.Assignment{{Name: "LANG", Value: command.Word{Text: "C"}}},
					},
					{Name: "timeout", Args: literal("5", "/usr/bin/systemctl", "--no-pager", "status", "a b"), Via: []string{"sudo", "env"}, As: "app", Indirect: true},
					{Name: "systemctl", Path: "/usr/bin/systemctl", Verb: "status", Args: literal("--no-pager", "status", "a b"), Via: []string{"sudo", "env", "timeout"}, As: "app"},
				},
				Files: []command.File{{Path: "/dev/null", Write: true}},
			},
			"who runs what, and how",
		},
		{
			`ls "$x" a"$y" *.log b* $z ~/c "d e" $((1))`,
			command.Line{Commands: []command.Command{{Name: "ls", Args: []command.Word{
				{Form: command.Partial},
				{Text: "a", Form: command.Partial},
				{Form: command.Expanded},
				{Text: "b", Form: command.Expanded},
				{Form: command.Open},
				{Text: "~/c", Form: command.Partial},
				{Text: "d e"},
				{Form: command.Partial},
			}}}},
			"how much of a word is certain",
		},
		{
			`LC_ALL=C sort x <y >>z`,
			command.Line{
				Commands: []command.Command{{
					Name: "sort", Args: literal("x"),
					Environment: []command.Assignment{{Name: "LC_ALL", Value: command.Word{Text: "C"}}},
				}},
				Files: []command.File{{Path: "./y", Read: true}, {Path: "./z", Write: true, Append: true}},
			},
			"assignments and files",
		},
		{
			`env -i -S 'ls -l' -u --`,
			command.Line{Commands: []command.Command{
				{Name: "env", Args: literal("-i", "-S", "ls -l", "-u", "--"), Indirect: true},
				{Name: "ls", Args: literal("-l", "-u", "--"), Via: []string{"env"}},
			}},
			"what stands behind env -S is no option of env",
		},
		{
			`ssh db1 uptime`,
			command.Line{Commands: []command.Command{
				{Name: "ssh", Args: literal("db1", "uptime")},
				{Name: "uptime", Args: []command.Word{}, Via: []string{"ssh"}, Host: "db1"},
			}},
			"another machine",
		},
	} {
		got := command.Read(tc.line, command.Options{Shell: command.Bash})
		if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(command.Word{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s (-want +got):\n%s", tc.line, tc.reason, diff)
		}
	}
}

// TestReasons is that what is unknown is said with its input and a remedy.
func TestReasons(t *testing.T) {
	for _, tc := range []struct {
		line   string
		want   command.Reason
		detail string
	}{
		{"$X y", command.ReasonName, "write it out"},
		{"uptime \x00", command.ReasonText, "NUL"},
		{strings.Repeat("a", command.MaxBytes+1), command.ReasonLimit, "script"},
		{"if true", command.ReasonSyntax, `"if true"`},
		{"ls &> /dev/null", command.ReasonDialects, "alike"},
		{"sh -c \"$X\"", command.ReasonExpansion, "sh runs a text"},
		{"alias a=b", command.ReasonDefinition, "write the command out"},
		{"PATH=x ls", command.ReasonEnvironment, "PATH"},
		{"sh", command.ReasonInput, "-c"},
		{"vi x", command.ReasonProgram, "vi"},
		{"ls > $X", command.ReasonFile, "$X"},
		{"zsh -c ls", command.ReasonShell, "use sh or bash"},
		{" \n", command.ReasonInput, "name a command"},
	} {
		l := command.Read(tc.line, command.Options{Shell: command.Dash})
		found := false
		for _, u := range l.Unknown {
			found = found || u.Reason == tc.want && strings.Contains(u.Detail, tc.detail)
		}
		if !found {
			t.Errorf("%.80q: want %s with %q, got %v", tc.line, tc.want, tc.detail, l.Unknown)
		}
	}
}
