// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enrol

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
)

// hostile are arguments that a shell or xargs would read something into.
var hostile = []string{
	"--a=plain/path-1.0", "--a=/with blank", "--a=$(touch x)", "--a=`id`", "--a=;id", "--a=it's", `--a="q"`, `--a=back\slash`, "--a=*", "--a=~", "--a=$HOME", "--a=a' --b='c", "--a=ä",
}

// TestCommandLine: what a Connection says is one argument, whoever reads the line.
func TestCommandLine(t *testing.T) {
	want := strings.Join(hostile, "\x00") + "\x00"
	if got := run(t, "sh", "-c", `printf '%s\0' `+CommandLine(hostile, " ")); got != want {
		t.Errorf("a shell reads %q", got)
	}
	xargs := exec.CommandContext(t.Context(), "xargs", "printf", `%s\0`)
	xargs.Stdin = strings.NewReader(CommandLine(hostile, "\n") + "\n")
	if got, err := xargs.Output(); err != nil || string(got) != want {
		t.Errorf("xargs reads %q: %v", got, err)
	}
	if got := CommandLine([]string{"--connection=shop/orders-db", "--listen=shop/orders-db=[::1]:5432"}, " "); !strings.HasPrefix(got, "--connection=shop/orders-db ") {
		t.Errorf("what needs no quotes has some: %s", got)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestArgumentsAreOneLineEach: an object from before the path had a pattern adds no
// argument of its own to the file flags.
func TestArgumentsAreOneLineEach(t *testing.T) {
	c := &v1alpha1.Connection{}
	c.Namespace, c.Name = "shop", "orders-db"
	c.Spec.Proxy.External = &v1alpha1.ExternalProxy{Port: 5432}
	request := Request{Instance: "one", Listen: "127.0.0.1"}
	for _, path := range []string{"/etc/x\n--listen=shop/orders-db=0.0.0.0:1", "/etc/\x1b[2J", "/etc/\u202ex"} {
		c.Spec.Credential.File = &v1alpha1.FileCredential{Path: path}
		if _, err := arguments(c, request, "key", "/out"); err == nil || !strings.Contains(err.Error(), "correct the Connection") {
			t.Errorf("path %q: %v", path, err)
		}
	}
	c.Spec.Credential.File = &v1alpha1.FileCredential{Path: "/etc/doorward x"}
	all, err := arguments(c, request, "key", "/out")
	if err != nil || !slices.Contains(all, "--credential-dir=/etc/doorward x") {
		t.Errorf("%q: %v", all, err)
	}
}

// TestRecordings: a proxy that is started as it was enrolled gives the manager recordings.
func TestRecordings(t *testing.T) {
	c := &v1alpha1.Connection{}
	c.Namespace, c.Name = "shop", "orders-db"
	c.Spec.Proxy.External = &v1alpha1.ExternalProxy{Port: 5432}
	for name, tc := range map[string]struct{ reason, listen, given, want, fails string }{
		"Usual":    {"beside where is listened", "10.0.0.7", "", "10.0.0.7:8447", ""},
		"All":      {"all addresses", "", "", ":8447", ""},
		"Taken":    {"what is served goes first", "[::1]:8447", "", "[::1]:8448", ""},
		"Given":    {"as it was given", "127.0.0.1:5432", "127.0.0.1:9000", "127.0.0.1:9000", ""},
		"Nowhere":  {"none is wanted", "127.0.0.1:5432", Nowhere, "", ""},
		"NoPort":   {"the convention is for who gives nothing", "127.0.0.1:5432", "10.0.0.7", "", "want HOST:PORT"},
		"Protocol": {"a port by name is nobody's beside it", "127.0.0.1:postgres", "", "", "want a number"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := arguments(c, Request{Instance: "one", Listen: tc.listen, Recordings: tc.given}, "key", "/out")
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%s: %v, want %q", tc.reason, err, tc.fails)
				}
				return
			}
			got := slices.IndexFunc(all, func(argument string) bool { return strings.HasPrefix(argument, "--recordings-address=") })
			if err != nil || (got < 0) != (tc.want == "") || got >= 0 && all[got] != "--recordings-address=shop/orders-db="+tc.want {
				t.Errorf("%s: %v, %q, want %q", tc.reason, err, all, tc.want)
			}
		})
	}
}
