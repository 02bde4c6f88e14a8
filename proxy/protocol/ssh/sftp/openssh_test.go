// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openSSH runs OpenSSH's client in a directory, by way of a relay that follows a script,
// with a batch of commands. It returns its output and what is on record.
func openSSH(t *testing.T, there string, s script, batch []string, args ...string) (string, []done) {
	t.Helper()
	needServer(t)
	s.Log = filepath.Join(t.TempDir(), "log")
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := runClient(there, program, batch, append(os.Environ(), asRelay+"="+string(text)), args...)
	if err != nil {
		t.Logf("sftp: %v", err)
	}
	return out, readLog(t, s.Log)
}

// runClient runs sftp -D.
func runClient(there, server string, batch, env []string, args ...string) (string, error) {
	out, err := clientCommand(there, server, batch, env, args...).CombinedOutput()
	return string(out), err
}

func clientCommand(there, server string, batch, env []string, args ...string) *exec.Cmd {
	client := exec.Command("sftp", append([]string{"-q", "-b", "-", "-D", server}, args...)...)
	client.Dir, client.Env = there, env
	client.Stdin = strings.NewReader(strings.Join(batch, "\n") + "\n")
	return client
}

func readLog(t *testing.T, name string) []done {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []done
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return all
		}
		var d done
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
}

// content is n bytes that no two tests share.
func content(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1, 2, 3})
	_, _ = source.Read(b)
	return b
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// find is the one operation on record whose statement begins so.
func find(t *testing.T, all []done, statement string) done {
	t.Helper()
	i := slices.IndexFunc(all, func(d done) bool { return strings.HasPrefix(d.Operation.Statement, statement) })
	if i < 0 {
		var have []string
		for _, d := range all {
			have = append(have, d.Operation.Statement)
		}
		t.Fatalf("%q is not on record; there are\n%s", statement, strings.Join(have, "\n"))
	}
	return all[i]
}

func TestOpenSSHSizes(t *testing.T) {
	cases := map[string]struct {
		size   int
		args   []string
		reason string
	}{
		"Empty":        {0, nil, "nothing is transferred, and the digest of reading it is that of nothing"},
		"OneByte":      {1, nil, "the least"},
		"Below32KiB":   {32<<10 - 1, nil, "one less than a packet"},
		"32KiB":        {32 << 10, nil, "one packet"},
		"Above32KiB":   {32<<10 + 1, nil, "one more"},
		"255KiB":       {255<<10 + 1, nil, "one more than the largest packet"},
		"100MB":        {100_000_000, nil, "in a pipeline"},
		"WidePipeline": {40_000_001, []string{"-R", "128", "-B", "262144"}, "reads are longer than the server answers, so what is missing comes out of order"},
		"SmallBuffers": {3_000_001, []string{"-R", "200", "-B", "1000"}, "many small packets"},
		"OneByOne":     {300_001, []string{"-R", "1"}, "no pipeline"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := directory(t)
			want := content(c.size)
			local, remote, back := filepath.Join(dir, "local"), filepath.Join(dir, "remote"), filepath.Join(dir, "back")
			writeFile(t, local, string(want))
			out, all := openSSH(t, dir, script{}, []string{"put local remote"}) // its own -B is beyond what it may send
			more, read := openSSH(t, dir, script{}, []string{"get remote back"}, c.args...)
			out, all = out+more, append(all, read...)
			for _, name := range []string{remote, back} {
				if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %s: %d bytes, %v\n%s", c.reason, name, len(got), err, out)
				}
			}
			put, get := find(t, all, fmt.Sprintf("open %q write,create,truncate", remote)), find(t, all, fmt.Sprintf("open %q read", remote))
			if put.Result.Outcome != Succeeded || get.Result.Outcome != Succeeded {
				t.Errorf("put %+v, get %+v", put.Result, get.Result)
			}
			wantPut := Transfer{Bytes: int64(c.size), Digest: digestOf(want)}
			if c.size == 0 {
				wantPut.Digest = ""
			}
			if put.Result.Written != wantPut || put.Result.Read != (Transfer{}) {
				t.Errorf("put: %+v, want %+v", put.Result, wantPut)
			}
			if want := (Transfer{Bytes: int64(c.size), Digest: digestOf(want)}); get.Result.Read != want || get.Result.Written != (Transfer{}) {
				t.Errorf("get: %+v, want %+v", get.Result, want)
			}
		})
	}
}

func TestOpenSSHCommands(t *testing.T) {
	for _, resolve := range []bool{false, true} {
		t.Run(fmt.Sprintf("Resolve=%v", resolve), func(t *testing.T) {
			dir := directory(t)
			whole := content(500_000)
			writeFile(t, filepath.Join(dir, "local"), string(whole))
			writeFile(t, dir+"/tree/a/one", "1")
			writeFile(t, dir+"/tree/b/two words", "22")
			writeFile(t, filepath.Join(dir, "half"), string(whole[:200_000]))
			writeFile(t, dir+"/there/half", string(whole[:100_000]))
			out, all := openSSH(t, dir, script{Resolve: resolve}, []string{
				"pwd", "mkdir there/made", "cd there", "put local up", "chmod 640 up", "ls -la", "ln -s up soft", "ln up hard",
				"rename up moved", "get moved back", "reget moved half", "reput local half", "df .", "put -p local kept", "get -p kept kept",
				"put -R tree copied", "get -R copied again", "rm hard", "rmdir made", "cp moved twice", "ls copied",
			})
			if strings.Contains(out, "Couldn't") || strings.Contains(out, "denied") || strings.Contains(out, "Failure") {
				t.Errorf("output:\n%s", out)
			}
			for name, want := range map[string]string{
				"back": string(whole), "half": string(whole), "there/half": string(whole), "kept": string(whole),
				"again/a/one": "1", "again/b/two words": "22", "there/twice": string(whole),
			} {
				if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
					t.Errorf("%s: %d bytes, %v\n%s", name, len(got), err, out)
				}
			}
			at := func(name string) string { return fmt.Sprintf("%q", filepath.Join(dir, "there", name)) }
			for _, statement := range []string{
				`realpath "` + dir + `"`, "mkdir " + at("made") + " permissions=0777", "opendir ", "symlink " + at("up") + " " + at("soft") + ` asked="up"`,
				"hardlink " + at("up") + " " + at("hard"), "posix-rename " + at("up") + " " + at("moved"), "setstat " + at("up") + " permissions=0640",
				"statvfs ", "fsetstat " + at("kept"), "remove " + at("hard"), "rmdir " + at("made"), "copy-data " + at("moved") + " " + at("twice"), "limits",
			} {
				d := find(t, all, statement)
				if d.Denied != "" || d.Result.Outcome != Succeeded {
					t.Errorf("%s: %+v", statement, d)
				}
				if wantResolved := resolve && !strings.HasPrefix(statement, "fsetstat") && !strings.HasPrefix(statement, "copy-data") && statement != "limits"; d.Operation.Resolved != wantResolved {
					t.Errorf("%s: resolved %v", statement, d.Operation.Resolved)
				}
			}
			if d := find(t, all, "opendir "+fmt.Sprintf("%q", filepath.Join(dir, "there"))); d.Result.Entries < 5 {
				t.Errorf("listed: %+v", d.Result)
			}
			for _, c := range []struct{ statement, direction string }{{"open " + at("moved") + " read", "reget"}, {"open " + at("half") + " write", "reput"}} {
				offset, want := uint64(200_000), digestOf(whole[200_000:])
				if c.direction == "reput" {
					offset, want = 100_000, digestOf(whole[100_000:])
				}
				if !slices.ContainsFunc(all, func(d done) bool {
					return strings.HasPrefix(d.Operation.Statement, c.statement) &&
						(d.Result.Read.Offset == offset && d.Result.Read.Digest == want || d.Result.Written.Offset == offset && d.Result.Written.Digest == want)
				}) {
					t.Errorf("%s: no digest of what was resumed", c.direction)
				}
			}
			for _, d := range all {
				if d.Result.Read.Undigested != "" || d.Result.Written.Undigested != "" || d.Result.Unclosed {
					t.Errorf("%s: %+v", d.Operation.Statement, d.Result)
				}
			}
		})
	}
}

func TestOpenSSHDenied(t *testing.T) {
	dir := directory(t)
	writeFile(t, dir+"/secret/key", "key")
	writeFile(t, dir+"/open/a", "a")
	writeFile(t, filepath.Join(dir, "local"), "local")
	out, all := openSSH(t, dir, script{Deny: []string{"* " + dir + "/secret/*", "remove *"}}, []string{
		"-get secret/key stolen", "-get open/../secret/key stolen", "-rename secret/key open/key", "-ln secret/key open/key", "-ln -s ../secret/key open/key",
		"-put local secret/new", "-rm open/a", "-chmod 777 secret/key", "get open/a got",
	})
	if got, err := os.ReadFile(filepath.Join(dir, "got")); string(got) != "a" {
		t.Errorf("what is allowed: %q, %v\n%s", got, err, out)
	}
	for _, name := range []string{"stolen", "open/key", "secret/new"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is there\n%s", name, out)
		}
	}
	if _, err := os.Lstat(dir + "/open/a"); err != nil {
		t.Error(err)
	}
	denied := 0
	for _, d := range all {
		if d.Denied != "" {
			denied++
		}
	}
	if denied < 8 || strings.Count(strings.ToLower(out), "permission denied") < 6 {
		t.Errorf("%d denied\n%s", denied, out)
	}
}

// TestOpenSSHCopy: scp speaks SFTP, and sets the size of what it has written.
func TestOpenSSHCopy(t *testing.T) {
	needServer(t)
	dir, want := directory(t), content(700_000)
	writeFile(t, dir+"/local", string(want))
	writeFile(t, dir+"/tree/a/b", "b")
	log := filepath.Join(t.TempDir(), "log")
	text, err := json.Marshal(script{Resolve: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"local", "there:~/up"}, {"there:up", "back"}, {"-r", "-p", "tree", "there:copied"}, {"-r", "there:copied", "again"}} {
		copies := exec.Command("scp", append([]string{"-s", "-D", program}, args...)...)
		copies.Dir, copies.Env = dir, append(os.Environ(), asRelay+"="+string(text))
		if out, err := copies.CombinedOutput(); err != nil {
			t.Errorf("scp %v: %v: %s", args, err, out)
		}
	}
	for name, want := range map[string]string{"up": string(want), "back": string(want), "copied/a/b": "b", "again/a/b": "b"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	all := readLog(t, log)
	if got := find(t, all, fmt.Sprintf("open %q write", dir+"/up")).Result.Written; got.Digest != digestOf(want) {
		t.Errorf("put: %+v", got)
	}
}
