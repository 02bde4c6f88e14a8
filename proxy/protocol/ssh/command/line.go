// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

// Shell is the login shell of the account at the target, as the Connection's options say.
type Shell string

// The shells whose lines are read. Lines of every other one, such as fish, zsh or csh, are unknown.
const (
	// Sh is any POSIX shell: what bash, dash, ash and mksh do not read alike is unknown.
	Sh   Shell = "sh"
	Bash Shell = "bash"
	Dash Shell = "dash"
	Ash  Shell = "ash"
	Mksh Shell = "mksh"
)

// Options is what a reading depends on besides the text.
type Options struct {
	Shell Shell
	// Terminal says that the channel has a terminal, so that programs page their output.
	Terminal bool
	// Environment names variables that a line may put into the environment of commands,
	// besides those of language, time zone and colours. Who names one says that no program
	// of the target takes a command, a library or a configuration from it.
	Environment []string
}

// Line is what a line does, as far as its text tells. Its slices are in the order of the
// text, what a command's words run before the command itself.
type Line struct {
	Commands []Command
	// Files are those that redirections open.
	Files []File
	// Unknown is why the line does more than Commands and Files say. A line may be
	// let through only where this is empty.
	Unknown []Unknown
	// Transfer is set where the line is the one command with which a file transfer
	// or git starts its server.
	Transfer *Transfer
}

// Command is one simple command that may run.
type Command struct {
	// Name is the last element of the path, such as "systemctl".
	Name string
	// Path is set where the command was written with a directory: absolute, or it begins
	// with "./" or "~/". It has no empty and no dot elements.
	Path string
	// Verb is the first operand of programs whose operations it names, such as "status" of systemctl.
	Verb string
	Args []Word
	// Environment are the assignments in front of it, and those of env and sudo.
	Environment []Assignment
	// Via names what runs it, outermost first, such as "sudo", "sh".
	Via []string
	// As is the account it runs under, where sudo, doas or su change it.
	As string
	// Host is where it runs, where ssh takes it to yet another machine.
	Host string
	// Indirect says that it is part of the shell and does nothing outside of it, or
	// does nothing but run other commands of the line: it needs no Allow of its own.
	Indirect bool
}

// Resource is what rules match: the path where one was written, else the name, which
// the target looks up in its PATH.
func (c *Command) Resource() string {
	if c.Path != "" {
		return c.Path
	}
	return c.Name
}

// Form says how much of a word is certain.
type Form uint8

const (
	// Literal is a word that the text tells whole.
	Literal Form = iota
	// Partial is exactly one word, which begins with Text.
	Partial
	// Expanded is any number of words, also none, each of which begins with Text.
	Expanded
	// Open is any number of words of any value; Text is empty.
	Open
)

// Word is an argument, after quotes are removed. Where it is no Literal, "~" at its beginning stands
// for the account's home directory.
type Word struct {
	Text string
	Form Form

	number bool // a number, whatever it is
	home   bool // certain but for the account's home directory, which Text has as "~"
}

// Assignment is a variable that a command gets. Value tells the value as a word does.
type Assignment struct {
	Name  string
	Value Word
}

// File is a file that a redirection opens. Path is as in [Command.Path], but may have ".." elements.
type File struct {
	Path   string
	Read   bool
	Write  bool
	Append bool // Write keeps what there is
}

// Reason classes why something is unknown.
type Reason string

// The reasons.
const (
	ReasonShell       Reason = "Shell"       // the account's shell is none that is read
	ReasonText        Reason = "Text"        // bytes that shells and locales read differently
	ReasonLimit       Reason = "Limit"       // too long, too deep, too many commands
	ReasonSyntax      Reason = "Syntax"      // no shell's syntax, or one that is not read
	ReasonDialects    Reason = "Dialects"    // shells read it differently
	ReasonName        Reason = "Name"        // the name of a command is not in the text
	ReasonExpansion   Reason = "Expansion"   // an expansion that may run code, or hides options
	ReasonDefinition  Reason = "Definition"  // changes what names or the rest of the line mean
	ReasonEnvironment Reason = "Environment" // gives programs by environment
	ReasonInput       Reason = "Input"       // runs what it reads
	ReasonProgram     Reason = "Program"     // can run others, by code, options or keys
	ReasonFile        Reason = "File"        // opens a file whose name is not in the text
)

// Unknown is why a line cannot be resolved from its text alone.
type Unknown struct {
	Reason Reason
	// Command names the command that it is about; may be empty.
	Command string
	// Detail names the input and the remedy. It quotes the line, so it is as secret as that.
	Detail string
}

// Protocol is what speaks on the channel of a [Transfer].
type Protocol string

// The protocols of transfers.
const (
	SCP   Protocol = "scp"
	Rsync Protocol = "rsync"
	Git   Protocol = "git"
	SFTP  Protocol = "sftp"
)

// Transfer is a server that a client starts to move files over the channel. An SFTP server
// moves both ways, and names its files later.
type Transfer struct {
	Protocol Protocol
	Upload   bool // to the target
	Download bool // from the target
	Paths    []string
}
