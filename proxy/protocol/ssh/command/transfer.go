// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// transfer recognises the commands with which clients start a server for files: scp's old protocol,
// rsync, git and sftp. The line is that one command, and every word of it is certain.
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
	switch c.Name {
	case "scp":
		return scpServer(args)
	case "rsync":
		return rsyncTransfer(args)
	case "git":
		if len(args) > 0 && args[0] == c.Verb {
			return gitServer("git-"+c.Verb, args[1:])
		}
	case "sftp-server", "internal-sftp":
		if len(args) == 0 {
			return &Transfer{Protocol: SFTP, Upload: true, Download: true}
		}
	}
	return gitServer(c.Name, args)
}

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
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			return nil
		}
	}
	t.Paths = args
	return t
}

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
			t.Paths = args[i+2:]
			if len(t.Paths) == 0 {
				return nil
			}
			for _, p := range t.Paths {
				if strings.HasPrefix(p, "-") {
					return nil
				}
			}
			return t
		case !strings.HasPrefix(a, "-"), elsewhere(a):
			return nil
		}
	}
	return nil
}

func elsewhere(option string) bool {
	name, _, _ := strings.Cut(option, "=")
	return rsyncElsewhere[name]
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
	t.Paths = args
	return t
}
