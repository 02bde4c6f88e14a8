// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command reads the command line of an SSH exec request and says what it runs,
// without running it.
//
// [Read] parses a line as the account's shell will (with sh -c), and lists each simple
// command in it: in pipes, lists, subshells, substitutions, loops and functions, and what
// shells, env, sudo, find, xargs and their like run. What cannot be told from the text is
// [Unknown], with a reason. A line may run only where nothing is unknown and every command
// and file is allowed: then it runs nothing else, whatever the target's files are.
//
// # How it is sound
//
// Only such syntax is read as the shells agree upon: a list of what is known to be read
// alike, not of what is known to be dangerous. The line of an account whose shell is only
// known to be a POSIX one is read in all dialects, and they must agree. Words keep how much
// of them is certain ([Form]): a variable may hold anything, a pattern may find a file
// whose name is an option. Programs that can be made to run others are in tables, with the
// arguments under which they do not; in all others the rule that allows the name vouches for
// what the program does.
//
// # For policy
//
// A line is one operation. Each [Command] is an access with the action exec and the resource
// [Command.Resource], indirect where Indirect says so, its Verb, Args, As and Host being what rules
// may look at besides; each [File] one that reads or writes its Path; each [Unknown] one with the
// action unknown, which nothing allows. A [Transfer] is an operation on its Paths instead.
//
// # What depends on the target
//
//   - A name without a directory is looked up in the target's PATH. A path from ./ on is below the
//     current directory, which cd changes: rules should name absolute paths.
//   - Functions that the environment exports (BASH_FUNC_x%%) and those that startup files
//     define (bash reads ~/.bashrc when sshd starts it; sh -l and bash -l read profiles) shadow
//     names; so do aliases that these define, in shells that expand them without a terminal.
//   - Variables may have been exported before: a line that sets one of its own changes it.
//     Names that programs take code from are unknown, but a target may have others.
//   - Programs read configuration: git has hooks and filters, ssh has ProxyCommand, systemctl
//     starts what units say. The rule that allows them vouches for the files. A repository that git
//     clones may hold another one, with a configuration of its own: allow git with the remotes it has.
//   - flock -c and script -c start the shell that the variable SHELL names: sshd sets it to the account's.
//   - A file may be replaced before it runs, also by an earlier command of the line.
//   - Options are read as GNU's programs and busybox read them; those of the same name on BSD and
//     macOS differ in places (sed -i, script).
//   - A builtin may be a program of that name in the PATH, as printf is for some mksh.
//   - What is done by a command's own arguments, such as cp or sed -i writing files, is in
//     its Args alone: [Line.Files] are those of redirections. Who may write the account's startup
//     files so, or what it runs later, may run anything.
//   - sshd_config may put a ForceCommand or a shell of its own in front.
//   - File systems that fold case (macOS) find rm by RM: deny by allowing few names.
package command
