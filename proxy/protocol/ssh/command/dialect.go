// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "mvdan.cc/sh/v3/syntax"

// dialect is one way to read a line.
type dialect struct {
	name    string
	variant syntax.LangVariant
	// evaluates says that test -eq and the like evaluate their operands, and so run
	// substitutions within subscripts, as in mksh and other Korn shells.
	evaluates bool
}

// extended says that the shell has what bash has and POSIX has not.
func (d dialect) extended() bool { return d.variant == syntax.LangBash }

var (
	posix = dialect{name: "POSIX sh", variant: syntax.LangPOSIX}
	bash  = dialect{name: "bash", variant: syntax.LangBash}
	korn  = dialect{name: "mksh", variant: syntax.LangMirBSDKorn, evaluates: true}
)

// dialectsOf are the ways in which a shell may read a line. dash has nothing but POSIX, but
// ash takes parts of bash when it is built so; bash reads its own way also where it is a
// login shell that is given a command.
func dialectsOf(s Shell) []dialect {
	switch s {
	case Sh:
		return []dialect{posix, bash, korn}
	case Bash:
		return []dialect{bash}
	case Dash, Ash:
		return []dialect{posix, bash}
	case Mksh:
		return []dialect{posix, korn}
	}
	return nil
}

// shellOf is the shell that a program's name stands for, and whether it is read.
func shellOf(name string) (Shell, bool) {
	s := Shell(name)
	return s, dialectsOf(s) != nil
}

// shells are all programs that are shells.
var shells = set("sh bash dash ash mksh ksh ksh93 pdksh lksh rksh rbash rzsh zsh fish csh tcsh rc es elvish nu xonsh yash hush lash msh posh sash scsh oksh loksh pwsh powershell ysh osh")

// keywords begin something other than a simple command in at least one shell, or one that depends on it.
var keywords = set("if then elif else fi for while until do done case esac function select time coproc in end " +
	"foreach repeat hup sched switch begin and or not nocorrect noglob builtin command exec test let declare typeset local export readonly nameref integer float")
