// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSymlinks: with Resolve, no link leads to what is denied (checklist 7). Each row says
// too what cleaning by text comes to, as the package's documentation promises no more.
func TestSymlinks(t *testing.T) {
	const reads = uint32(flagRead)
	cases := map[string]struct {
		kind   byte
		fields []any
		// lexical says that cleaning by text is enough.
		lexical bool
		reason  string
	}{
		"Plain":                 {typeOpen, []any{"secret/key", reads, noAttrs}, true, "by its own name"},
		"DotDot":                {typeOpen, []any{"open/../secret/key", reads, noAttrs}, true, "by way of another directory"},
		"Slashes":               {typeOpen, []any{".//secret/./key", reads, noAttrs}, true, "with slashes and dots"},
		"AboveRoot":             {typeOpen, []any{"/../../..{dir}/secret/key", reads, noAttrs}, true, "above the root is the root"},
		"FileLink":              {typeOpen, []any{"open/keylink", reads, noAttrs}, false, "a link to the file"},
		"DirectoryLink":         {typeOpen, []any{"open/dirlink/key", reads, noAttrs}, false, "a link to its directory"},
		"LinkToLink":            {typeOpen, []any{"open/twice/key", reads, noAttrs}, false, "a link to a link"},
		"DotDotAfterLink":       {typeOpen, []any{"open/deep/../key", reads, noAttrs}, false, ".. after a link is the parent of where it leads"},
		"WriteByLink":           {typeOpen, []any{"open/keylink", uint32(flagWrite | flagTruncate), noAttrs}, false, "writing follows links"},
		"CreateByDangling":      {typeOpen, []any{"open/dangling", uint32(flagWrite | flagCreate), noAttrs}, false, "creating follows a link to what is not there yet"},
		"CreateInLink":          {typeOpen, []any{"open/dirlink/new", uint32(flagWrite | flagCreate), noAttrs}, false, "in the directory of a link"},
		"StatByLink":            {typeStat, []any{"open/keylink"}, false, "STAT follows"},
		"LstatInLink":           {typeLstat, []any{"open/dirlink/key"}, false, "LSTAT follows all but the end"},
		"LstatSlash":            {typeLstat, []any{"open/dirlink/"}, false, "a slash at the end follows"},
		"LstatDot":              {typeLstat, []any{"open/dirlink/."}, false, "a dot at the end follows"},
		"SetstatByLink":         {typeSetstat, []any{"open/keylink", uint32(attrPermissions), uint32(0o666)}, false, "SETSTAT follows"},
		"OpendirLink":           {typeOpendir, []any{"open/dirlink"}, false, "OPENDIR follows"},
		"RemoveInLink":          {typeRemove, []any{"open/dirlink/key"}, false, "in the directory of a link"},
		"MkdirInLink":           {typeMkdir, []any{"open/dirlink/made", noAttrs}, false, "in the directory of a link"},
		"MkdirSlash":            {typeMkdir, []any{"open/dirlink/made/", noAttrs}, false, "a name with a slash at its end is made in its parent"},
		"RmdirInLink":           {typeRmdir, []any{"open/dirlink/empty"}, false, "in the directory of a link"},
		"RenameFrom":            {typeRename, []any{"open/dirlink/key", "open/stolen"}, false, "out of the directory of a link"},
		"RenameTo":              {typeRename, []any{"open/file", "open/dirlink/planted"}, false, "into the directory of a link"},
		"PosixRenameOver":       {typeExtended, []any{"posix-rename@openssh.com", "open/file", "open/dirlink/key"}, false, "over a file in the directory of a link"},
		"HardlinkFrom":          {typeExtended, []any{"hardlink@openssh.com", "open/dirlink/key", "open/hard"}, false, "another name for the file"},
		"SymlinkInLink":         {typeSymlink, []any{"x", "open/dirlink/made"}, false, "in the directory of a link"},
		"SymlinkToSecret":       {typeSymlink, []any{"../secret/key", "open/made"}, true, "what a link points to is decided with it"},
		"SymlinkByLink":         {typeSymlink, []any{"../secret/key", "open/elsewhere/made"}, false, "what a link points to is relative to where the link comes to be"},
		"ReadlinkInLink":        {typeReadlink, []any{"open/dirlink/link"}, false, "in the directory of a link"},
		"StatvfsByLink":         {typeExtended, []any{"statvfs@openssh.com", "open/keylink"}, false, "statvfs follows"},
		"LsetstatInLink":        {typeExtended, []any{"lsetstat@openssh.com", "open/dirlink/link", uint32(attrTimes), uint32(1), uint32(1)}, false, "in the directory of a link"},
		"ExclusiveByDirectory":  {typeOpen, []any{"open/dirlink/fresh", uint32(flagWrite | flagCreate | flagExcl), noAttrs}, false, "in the directory of a link"},
		"AbsoluteLink":          {typeOpen, []any{"{dir}/open/absolute/key", reads, noAttrs}, false, "a link that is absolute"},
		"CreateWithoutWriting":  {typeOpen, []any{"open/dirlink/nothing", uint32(flagCreate), noAttrs}, false, "a server creates also without WRITE"},
		"TruncateWithoutWrite":  {typeOpen, []any{"open/keylink", uint32(flagRead | flagTruncate), noAttrs}, false, "a server truncates also without WRITE"},
		"RealpathOfSecretFile":  {typeRealpath, []any{"open/keylink"}, false, "what it leads to may not be asked"},
		"ExpandPathSecretDir":   {typeExtended, []any{"expand-path@openssh.com", "~/secret"}, true, "the tilde is the working directory"},
		"ExpandPathOfLink":      {typeExtended, []any{"expand-path@openssh.com", "~/open/keylink"}, false, "what it leads to may not be asked"},
		"HardlinkToLink":        {typeExtended, []any{"hardlink@openssh.com", "open/keylink", "open/hard"}, false, "some systems follow it"},
		"ReadlinkOfSecretPlain": {typeReadlink, []any{"secret/link"}, true, "by its own name"},
	}
	for name, c := range cases {
		for _, resolve := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/Resolve=%v", name, resolve), func(t *testing.T) {
				dir := directory(t)
				secret := filepath.Join(dir, "secret")
				writeFile(t, filepath.Join(secret, "key"), "key")
				writeFile(t, secret+"/sub/x", "x")
				writeFile(t, dir+"/open/file", "file")
				writeFile(t, dir+"/public/file", "file")
				links := map[string]string{
					"open/keylink": "../secret/key", "open/dirlink": "../secret", "open/twice": "dirlink", "open/deep": "../secret/sub",
					"open/dangling": "../secret/new", "open/absolute": secret, "secret/link": "x",
					"open/elsewhere": "../public",
				}
				for link, to := range links {
					if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Mkdir(filepath.Join(secret, "empty"), 0o700); err != nil {
					t.Fatal(err)
				}
				before := tree(t, secret)
				r := newRoad(script{Deny: []string{"* " + secret, "* " + secret + "/*"}, Resolve: resolve})
				s := startSession(t, dir, r)
				fields := slices.Clone(c.fields)
				for i, f := range fields {
					if text, ok := f.(string); ok {
						fields[i] = strings.ReplaceAll(text, "{dir}", dir)
					}
				}
				code, message := s.ask(c.kind, fields...).status()
				denied := code == StatusPermissionDenied
				if want := resolve || c.lexical; denied != want {
					t.Errorf("%s: denied is %v, want %v: %d %s", c.reason, denied, want, code, message)
				}
				if after := tree(t, secret); denied && after != before {
					t.Errorf("it was denied, and is done:\n%s\nwas\n%s", after, before)
				}
				s.leave(t)
			})
		}
	}
}

// tree is all of a directory as text.
func tree(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		text := ""
		if info.Mode().IsRegular() {
			b, _ := os.ReadFile(name)
			text = string(b)
		}
		fmt.Fprintf(&all, "%s %s %q\n", name, info.Mode(), text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestResolveAllows: what is allowed, and what does not exist, is as it is without.
func TestResolveAllows(t *testing.T) {
	dir := directory(t)
	writeFile(t, dir+"/real/file", "content")
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := newRoad(script{Resolve: true})
	s := startSession(t, dir, r)
	if got := s.ask(typeRead, s.open("link/file", flagRead), uint64(0), uint32(100)).text(); got != "content" {
		t.Errorf("by way of a link: %q", got)
	}
	d := s.ask(typeLstat, "link")
	if c := (cursor{rest: d.body}); d.kind != typeAttrs || c.attributes().permissions&0o170000 != 0o120000 {
		t.Errorf("LSTAT of a link: %+v", d)
	}
	order := []struct {
		kind   byte
		fields []any
		want   Status
	}{
		{typeStat, []any{"none"}, StatusNoSuchFile},
		{typeStat, []any{"none/none"}, StatusNoSuchFile},
		{typeReadlink, []any{"real/file"}, StatusBadMessage},
		{typeMkdir, []any{"link/made/", noAttrs}, StatusOK},
		{typeRename, []any{"link/made", "real/moved"}, StatusOK},
		{typeMkdir, []any{"/", noAttrs}, StatusFailure},
		{typeRemove, []any{"link"}, StatusOK},
		{typeStat, []any{"link"}, StatusNoSuchFile},
	}
	for _, c := range order {
		if code, message := s.ask(c.kind, c.fields...).status(); code != c.want {
			t.Errorf("type %d %v: %d %s, want %d", c.kind, c.fields, code, message, c.want)
		}
	}
	if got := find(t, r.all(), fmt.Sprintf("mkdir %q", dir+"/real/made")); !got.Operation.Resolved || !strings.HasSuffix(got.Operation.Statement, `asked="link/made/"`) {
		t.Errorf("on record: %+v", got)
	}
	// A link that the client makes in the same pipeline is seen.
	writeFile(t, dir+"/a/file", "a")
	writeFile(t, dir+"/b/file", "b")
	s.send(packet(typeSymlink, 1000, "a", "way"), packet(typeStat, 1001, "way/file"), packet(typeRemove, 1002, "way"), packet(typeSymlink, 1003, "b", "way"), packet(typeStat, 1004, "way/file"))
	for range 5 {
		s.receive()
	}
	for _, name := range []string{"a/file", "b/file"} {
		find(t, r.all(), fmt.Sprintf("stat %q", filepath.Join(dir, name)))
	}
	s.leave(t)
}

func TestLexical(t *testing.T) {
	for asked, want := range map[string]string{
		"": "/home/user", ".": "/home/user", "a": "/home/user/a", "./a//b/": "/home/user/a/b", "../x": "/home/x", "../../../x": "/x",
		"/": "/", "//": "/", "/..": "/", "/a/./b/../c": "/a/c", "~": "/home/user/~", "a\\..\\b": "/home/user/a\\..\\b",
	} {
		if got := absolute("/home/user", asked); got != want {
			t.Errorf("%q: %q, want %q", asked, got, want)
		}
	}
	for asked, want := range map[string]string{"~": "/home/user", "~/a": "/home/user/a", "~/../a": "/home/a", "~root/a": "~root/a", "a": "/home/user/a"} {
		if got := expanded("/home/user", asked); got != want {
			t.Errorf("expand %q: %q, want %q", asked, got, want)
		}
	}
	if got := absolute("/", "a"); got != "/a" {
		t.Errorf("below the root: %q", got)
	}
}
