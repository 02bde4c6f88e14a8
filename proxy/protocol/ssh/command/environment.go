// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// harmless are variables that say how a program speaks, in values that name no file.
var harmless = set("LANG LANGUAGE LC_ALL LC_CTYPE LC_COLLATE LC_MESSAGES LC_MONETARY LC_NUMERIC LC_TIME LC_ADDRESS LC_IDENTIFICATION " +
	"LC_MEASUREMENT LC_NAME LC_PAPER LC_TELEPHONE TZ NO_COLOR CLICOLOR CLICOLOR_FORCE FORCE_COLOR COLUMNS LINES " +
	"DEBIAN_FRONTEND DEBIAN_PRIORITY APT_LISTCHANGES_FRONTEND NEEDRESTART_MODE BLOCKSIZE BLOCK_SIZE TIME_STYLE")

var (
	harmlessValue = regexp.MustCompile(`^[A-Za-z0-9_.,:@+-]*$`)
	zone          = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)
)

// exported looks at a variable that commands get.
func (r *reader) exported(name string, value Word) {
	switch {
	case slices.Contains(r.work.environment, name):
		return
	case !harmless[name]:
		r.unknown(ReasonEnvironment, "", "%s is put into the environment, from which programs may take code: leave it out, or name it in the connection's options", name)
	case value.Form != Literal, (name == "COLUMNS" || name == "LINES") && !digits(value.Text), name == "TZ" && !zone.MatchString(value.Text), name != "TZ" && !harmlessValue.MatchString(value.Text), strings.Contains(value.Text, ".."):
		r.unknown(ReasonEnvironment, "", "%s gets a value that may name a file: use a plain word", name)
	}
}

// hostileNames are variables that the shell or what it starts takes code from, and those with
// which shells calculate when they are assigned. hostileParts are parts of such names.
var (
	hostileNames = set("PATH CDPATH FPATH IFS ENV HOME SHELL EXECSHELL FCEDIT HISTFILE HISTCMD HISTSIZE HISTCONTROL HISTIGNORE HISTTIMEFORMAT PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 " +
		"RANDOM SRANDOM SECONDS LINENO OPTIND OPTARG OPTERR TMOUT UID EUID PPID PGRP USER_ID KSHUID KSHGID KSHEGID EPOCHSECONDS EPOCHREALTIME " +
		"SHELLOPTS BASHOPTS SHLVL DIRSTACK FUNCNAME FUNCNEST GROUPS PIPESTATUS MAPFILE COPROC REPLY TEXTDOMAIN TEXTDOMAINDIR GLOBIGNORE EXECIGNORE FIGNORE " +
		"INPUTRC TERMINFO TERMINFO_DIRS TERMCAP TERM NLSPATH LOCPATH GCONV_PATH HOSTALIASES RES_OPTIONS CC CXX CPP LD AR AS CLASSPATH BROWSER VISUAL TMPDIR TMP TEMP " +
		"ZDOTDIR NULLCMD READNULLCMD KUBECONFIG MAIL MAILCHECK MAILPATH COMP_WORDBREAKS HOSTFILE TIMEFORMAT CHILD_MAX IGNOREEOF POSIXLY_CORRECT PWD OLDPWD _ http_proxy https_proxy ftp_proxy all_proxy no_proxy")
	hostileParts = strings.Fields("BASH LD_ DYLD_ LESS MORE MAN PAGER EDITOR GIT_ SSH RSYNC PYTHON PERL RUBY NODE NPM npm_ LUA PHP JAVA JDK GEM BUNDLE GO CARGO RUST MAKE AWK SED TAR ZIP GZIP XZ BZIP " +
		"OPT OPENSSL FLAGS COMMAND CMD PRELOAD ASKPASS SUDO SYSTEMD DOCKER KUBE PSQL PG MYSQL XDG MALLOC GLIBC TUNABLES LIBRARY_PATH INCLUDE CONFIG PARALLEL PROXY HOOK PLUGIN MODULE LISP EMACS VIM TEX GROFF " +
		"DEB APT DPKG RPM YUM DNF PIP VIRTUAL CONDA CURL WGET SCREEN TMUX EXINIT NAMESERVER LOCALDOMAIN R_ _RC RCFILE STARTUP PROFILE INIT HISTORY KSH ZSH")
)

// variable looks at a variable that the line sets in the shell. Where the target has exported
// it before, commands get it too.
func (r *reader) variable(name string, value Word) {
	switch {
	case harmless[name]:
		r.exported(name, value)
		return
	case slices.Contains(r.work.environment, name):
		return
	case hostileNames[name]:
		r.unknown(ReasonEnvironment, "", "%s means something to shells or programs: use a variable of another name", name)
		return
	case strings.ToLower(name) == name && !strings.HasPrefix(name, "npm_"):
		return
	}
	for _, part := range hostileParts {
		if strings.Contains(name, part) {
			r.unknown(ReasonEnvironment, "", "%s may be a variable from which programs take code: use one in lower case", name)
			return
		}
	}
}

// assignments reads what stands in front of a command, or alone.
func (r *reader) assignments(at place, list []*syntax.Assign, alone bool) []Assignment {
	var out []Assignment
	for _, a := range list {
		if a.Name == nil || a.Naked || a.Index != nil || a.Array != nil || a.Append && !r.dialect.extended() {
			r.unknown(ReasonExpansion, "", "%s is an assignment that is not read: arrays run code in subscripts", quote(r.of(a)))
			if a.Array != nil {
				r.elements(at, a.Array)
			}
			continue
		}
		name, value := a.Name.Value, r.value(at, a.Value)
		if a.Append {
			value = Word{Form: Partial}
		}
		if alone {
			r.variable(name, value)
			if at.settled && value.Form == Literal && digits(value.Text) { // $((1/0)) assigns nothing
				r.certain.note(r.numbers.assigned, name)
			}
			r.certain.begun = r.certain.begun || at.settled
			continue
		}
		r.exported(name, value)
		out = append(out, Assignment{Name: name, Value: value})
	}
	return out
}

// elements walks what an array is made of.
func (r *reader) elements(at place, a *syntax.ArrayExpr) {
	for _, e := range a.Elems {
		if e.Value != nil {
			r.word(at, e.Value)
		}
	}
}
