// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
)

// sshKeys are the settings of ssh -o that run nothing and open nothing.
var sshKeys = set("batchmode connecttimeout connectionattempts stricthostkeychecking serveraliveinterval serveralivecountmax loglevel port user " +
	"addressfamily compression tcpkeepalive passwordauthentication pubkeyauthentication preferredauthentications numberofpasswordprompts identitiesonly hostkeyalgorithms ciphers macs kexalgorithms clearallforwardings forwardagent forwardx11 visualhostkey hashknownhosts updatehostkeys globalknownhostsfile userknownhostsfile")

// ssh takes a command to yet another machine, whose shell is not known.
func ssh(r *reader, at spot, c *Command) {
	g := grammar{flags: "46aCgknNqTtvVxfy", valued: "bceilmopBQ"}
	given, rest, ok := r.split(c, c.Args, g)
	if !ok {
		return
	}
	terminal := false
	check := func(given []option) bool {
		for _, o := range given {
			terminal = terminal || o.name == "t"
			if o.name != "o" {
				continue
			}
			key, _, _ := strings.Cut(strings.ReplaceAll(o.value.Text, " ", "="), "=")
			if o.value.Form != Literal || !sshKeys[strings.ToLower(key)] || strings.ContainsAny(o.value.Text, "\n\"") {
				r.unknown(ReasonProgram, c.Name, "ssh -o %s may run a command: leave it out", quote(o.value.Text))
				return false
			}
		}
		return true
	}
	if !check(given) || len(rest) == 0 {
		return
	}
	host := rest[0]
	if host.Form != Literal || !operand(host) {
		r.unknown(ReasonExpansion, c.Name, "the host of ssh is not in the text: write it out")
		return
	}
	given, rest, ok = r.split(c, rest[1:], g) // options may follow the host
	if !ok || !check(given) {
		return
	}
	if len(rest) == 0 {
		r.unknown(ReasonInput, c.Name, "ssh opens a shell on %s, which reads commands: name a command", quote(host.Text))
		return
	}
	inner := at.within(c.Name)
	inner.host, inner.as, inner.terminal = host.Text, "", terminal
	r.anyShell(inner, c.Name, rest)
}

// gitVerbs are the operations of git that are read, with what none of them has: editors and commands.
var gitVerbs = set("status log diff show rev-parse branch tag fetch pull ls-files describe remote clone push checkout switch reset clean add init merge stash " +
	"ls-remote ls-tree cat-file rev-list for-each-ref symbolic-ref shortlog blame version gc prune count-objects fsck restore rm mv submodule show-ref name-rev merge-base worktree upload-pack receive-pack upload-archive archive commit config")

// gitOptions are the long options of those that run nothing.
var gitOptions = set("all tags prune quiet verbose short long porcelain branch oneline graph decorate stat numstat shortstat name-only name-status cached staged hard soft mixed keep force " +
	"force-with-lease ff-only no-ff no-rebase depth single-branch recursive recurse-submodules init abbrev-ref abbrev abbrev-commit show-toplevel is-inside-work-tree verify heads refs symbolic " +
	"get-url dry-run no-tags no-edit delete list merged no-merged contains set-upstream-to set-upstream track detach no-pager strict timeout since until author grep max-count pretty format date " +
	"count bare mirror shallow-since unshallow no-checkout always dirty match exact-match git-dir show-current is-ancestor no-color color remote points-at sort others ignored exclude-standard untracked-files no-verify directory prefix message allow-empty get get-all get-regexp")

// git reads the operations that run nothing but git, the repository's hooks and its configuration.
func git(r *reader, at spot, c *Command) {
	args := c.Args
	pager := false
	for len(args) > 0 && args[0].Form == Literal && strings.HasPrefix(args[0].Text, "-") {
		switch args[0].Text {
		case "-C":
			if len(args) < 2 || args[1].Form > Partial {
				r.unknown(ReasonExpansion, c.Name, "the directory of git is not in the text: write it out")
				return
			}
			args = args[2:]
			continue
		case "--no-pager", "-P":
			pager = true
			args = args[1:]
			continue
		case "--version", "-v":
			return
		}
		if strings.HasPrefix(args[0].Text, "--git-dir=") || strings.HasPrefix(args[0].Text, "--work-tree=") {
			args = args[1:]
			continue
		}
		r.unknown(ReasonProgram, c.Name, "git %s may run commands: leave it out", quote(args[0].Text))
		return
	}
	if len(args) == 0 {
		return
	}
	if args[0].Form != Literal || !gitVerbs[args[0].Text] {
		r.unknown(ReasonProgram, c.Name, "git %s is not read: it may run commands, or be an alias", quote(args[0].Text))
		return
	}
	c.Verb = args[0].Text
	switch {
	case c.Verb == "config" && (len(args) < 2 || args[1].Form != Literal || !gitReads[args[1].Text]):
		r.unknown(ReasonProgram, c.Name, "git config may set commands: use --get, --get-all, --get-regexp or --list first")
	case c.Verb == "commit" && !slices.ContainsFunc(args[1:], isMessage):
		r.unknown(ReasonProgram, c.Name, "git commit starts an editor: give it -m and a message")
	}
	for _, w := range args[1:] {
		if why := gitHarms(c.Verb, w); why != "" {
			r.unknown(ReasonProgram, c.Name, "git %s with %s %s: leave it out", c.Verb, quote(w.Text), why)
		}
	}
	if at.terminal && (!pager || c.Verb == "pull" || c.Verb == "merge") {
		r.unknown(ReasonProgram, c.Name, "git may start a pager or an editor on a terminal, whose keys run commands: write git --no-pager, or ask for no terminal")
	}
}

// gitReads are the options with which git config changes nothing.
var gitReads = set("--get --get-all --get-regexp --list -l")

// isMessage says that a word is the option that gives git commit its message.
func isMessage(w Word) bool {
	return w.Form == Literal && (w.Text == "-m" || w.Text == "-am" || strings.HasPrefix(w.Text, "--message="))
}

func gitHarms(verb string, w Word) string {
	switch {
	case w.Form != Literal && !operand(w):
		return "may have an option that runs commands"
	case strings.Contains(w.Text, "::"), !local(w) && !strings.Contains(w.Text, "://"):
		return "may start a program for an address"
	case w.Form == Literal && verb == "submodule" && w.Text == "foreach":
		return "runs commands"
	case !strings.HasPrefix(w.Text, "-") || w.Text == "-" || w.Text == "--":
		return ""
	case strings.HasPrefix(w.Text, "--"):
		if name, _, _ := strings.Cut(w.Text[2:], "="); gitOptions[name] {
			return ""
		}
		return "has an option that is not read"
	case verb == "tag" && strings.ContainsAny(w.Text, "asu"):
		return "may start an editor or a signer"
	case strings.Trim(w.Text[1:], "0123456789") == "" || strings.Trim(w.Text[1:], "abdfhlmnqrstvxDMz1") == "":
		return ""
	case w.Text == "-p" && (verb == "log" || verb == "diff" || verb == "show"), w.Text == "-u" && (verb == "push" || verb == "stash"):
		return ""
	}
	return "has an option that is not read"
}

// rsync is read as a server; as a client it starts a remote shell by option or by file name.
func rsync(r *reader, _ spot, c *Command) {
	server := len(c.Args) > 0 && c.Args[0].Form == Literal && c.Args[0].Text == "--server"
	for i, w := range c.Args {
		if !operand(w) && w.Form != Literal {
			r.unknown(ReasonExpansion, c.Name, "rsync has an argument that may be an option: write it out")
			continue
		}
		if server && i > 0 && strings.HasPrefix(w.Text, "-") {
			if name, _, _ := strings.Cut(w.Text, "="); !strings.HasPrefix(w.Text, "--") || rsyncServer[name] {
				continue
			}
			r.unknown(ReasonProgram, c.Name, "rsync --server %s is an option that is not read", quote(w.Text))
		}
		if !server && (rsyncHarms(w.Text) || !local(w)) {
			r.unknown(ReasonProgram, c.Name, "rsync runs a command with %s: leave it out", quote(w.Text))
		}
	}
}

// rsyncServer are the long options that a client gives its server.
var rsyncServer = set("--server --sender --delete --delete-before --delete-during --delete-after --delete-delay --delete-excluded --ignore-errors --force --max-delete --partial --inplace --append " +
	"--append-verify --numeric-ids --bwlimit --timeout --size-only --existing --ignore-existing --safe-links --copy-unsafe-links --no-implied-dirs --checksum-choice --compress-choice --compress-level --mkpath --stats --log-format --info --debug --no-r --no-relative --from0 --super --no-W --whole-file --no-whole-file --block-size --modify-window --checksum-seed --fuzzy --new-compress --old-compress --omit-dir-times " +
	"--link-dest --copy-dest --compare-dest --backup-dir --suffix --partial-dir --temp-dir --delay-updates --remove-source-files --files-from --ignore-missing-args --delete-missing-args " +
	"--max-size --min-size --usermap --groupmap --iconv --preallocate --open-noatime --skip-compress --munge-links --fsync")

// rsyncElsewhere are those under which more than the paths is touched, or otherwise: the line is no transfer of these.
var rsyncElsewhere = set("--link-dest --copy-dest --compare-dest --backup-dir --partial-dir --temp-dir --remove-source-files --files-from --usermap --groupmap --iconv --munge-links")

func rsyncHarms(text string) bool {
	if name, long := strings.CutPrefix(text, "--"); long {
		name, _, _ := strings.Cut(name, "=")
		return name != "" && begins([]string{"rsh", "rsync-path", "server", "daemon", "config", "early-input", "copy-devices", "write-devices"}, name)
	}
	if strings.HasPrefix(text, "-") {
		return strings.ContainsAny(text, "eM")
	}
	return strings.Contains(text, ":") // host:file and rsync:// start ssh, or a program of a variable
}
