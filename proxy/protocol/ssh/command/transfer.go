// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// transfer recognises the commands with which clients start a server for files: scp's old protocol,
// rsync, git and sftp. The line is that one command, and every word of it is certain. A program of
// such a name in a directory that callers may write to is a command like any other.
func transfer(l *Line) *Transfer {
	if len(l.Commands) != 1 || len(l.Files) > 0 || len(l.Commands[0].Environment) > 0 {
		return nil
	}
	c := &l.Commands[0]
	args := make([]string, len(c.Args))
	for i, w := range c.Args {
		if w.Form != Literal {
			return nil
		}
		args[i] = w.Text
	}
	if c.Name == "sftp-server" || c.Name == "internal-sftp" {
		if len(args) > 0 || c.Path != "" && !sftpServers[c.Path] {
			return nil
		}
		return &Transfer{Protocol: SFTP, Upload: true, Download: true}
	}
	if !fromSystem(c) {
		return nil
	}
	switch c.Name {
	case "scp":
		return scpServer(args)
	case "rsync":
		return rsyncTransfer(args)
	case "git":
		if len(args) > 0 && args[0] == c.Verb {
			return gitServer("git-"+c.Verb, args[1:])
		}
	}
	return gitServer(c.Name, args)
}

// sftpServers are where systems have OpenSSH's server.
var sftpServers = set("/usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/lib64/ssh/sftp-server " +
	"/usr/lib/misc/sftp-server /usr/lib64/misc/sftp-server /usr/libexec/sftp-server /usr/local/libexec/sftp-server")

// scpServer reads scp -t and -f, as OpenSSH's clients write them.
func scpServer(args []string) *Transfer {
	t := &Transfer{Protocol: SCP}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if strings.Trim(word[1:], "rpdvqtf") != "" {
			return nil
		}
		t.Upload = t.Upload || strings.Contains(word, "t")
		t.Download = t.Download || strings.Contains(word, "f")
	}
	if t.Upload == t.Download || len(args) == 0 || t.Upload && len(args) > 1 {
		return nil
	}
	if !plainPaths(args) {
		return nil
	}
	t.Paths = args
	return t
}

// plainPaths says that words are no options, nor what looks like a home directory: the shell has
// expanded "~" where it was meant, and neither scp nor rsync does.
func plainPaths(words []string) bool {
	for _, w := range words {
		if strings.HasPrefix(w, "-") || strings.HasPrefix(w, "~") {
			return false
		}
	}
	return len(words) > 0
}

// rsyncShort are the options of one letter that a client gives its server and that have no value
// (rsync's options.c, server_options). -s is not among them: with it, the server reads options and
// paths from the client and forgets those of the line.
const rsyncShort = "vqbunldKmOJyLkWHogDtUNpEAXrcCIRxSz"

// rsyncValued are those of [rsyncServer] that have a value. Without "=", that is the next word.
var rsyncValued = set("--max-delete --bwlimit --timeout --checksum-choice --compress-choice --compress-level --log-format --info --debug --block-size " +
	"--modify-window --checksum-seed --suffix --max-size --min-size --skip-compress")

// rsyncTransfer reads rsync --server: options, then ".", then paths.
func rsyncTransfer(args []string) *Transfer {
	if len(args) == 0 || args[0] != "--server" {
		return nil
	}
	t := &Transfer{Protocol: Rsync, Upload: true}
	for i, a := range args[1:] {
		switch {
		case a == "--sender":
			t.Upload, t.Download = false, true
		case a == ".":
			if t.Paths = args[i+2:]; !plainPaths(t.Paths) {
				return nil
			}
			return t
		case strings.HasPrefix(a, "--") && a != "--":
			// Those that are not read are unknown already.
			if name, _, valued := strings.Cut(a, "="); valued != rsyncValued[name] || rsyncElsewhere[name] {
				return nil
			}
		case !rsyncFlags(a):
			return nil
		}
	}
	return nil
}

// rsyncFlags says that a word is options of one letter, the last of which may be -e, which tells the
// server what the client knows.
func rsyncFlags(word string) bool {
	flags, client, tells := strings.Cut(word, "e")
	return len(word) > 1 && word[0] == '-' && strings.Trim(flags[1:], rsyncShort) == "" && tells == (client != "")
}

// gitServers are the programs of git that ssh starts for its clients.
var gitServers = set("git-upload-pack git-receive-pack git-upload-archive")

// gitServer reads git-upload-pack and its like, with the repository as the last word.
func gitServer(name string, args []string) *Transfer {
	t := &Transfer{Protocol: Git}
	switch name {
	case "git-upload-pack", "git-upload-archive":
		t.Download = true
	case "git-receive-pack":
		t.Upload = true
	default:
		return nil
	}
	for len(args) > 1 && (args[0] == "--strict" || strings.HasPrefix(args[0], "--timeout=")) {
		args = args[1:]
	}
	if len(args) != 1 || args[0] == "" || strings.HasPrefix(args[0], "-") {
		return nil
	}
	// Git itself takes "~" for a home directory; where another's is, only the target knows.
	if strings.HasPrefix(args[0], "~") && args[0] != "~" && !strings.HasPrefix(args[0], "~/") {
		return nil
	}
	t.Paths = args
	return t
}
