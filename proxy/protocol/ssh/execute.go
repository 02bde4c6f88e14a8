// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"path"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/ssh/command"
	"github.com/doorward/doorward/proxy/protocol/ssh/sftp"
)

// subsystemSFTP is the one subsystem whose bytes are read.
const subsystemSFTP = "sftp"

// wanted is what a request to start something comes to.
type wanted struct {
	asking
	// files says that it is an SFTP server; shell that it is the login shell.
	files, shell bool
	// moves says that it moves files by another protocol.
	moves bool
	// unread are what could not be read of the line, for the caller alone.
	unread []command.Unknown
}

// wants reads a request to start something.
func (p *program) wants(request *ssh.Request) (*wanted, error) {
	w := &wanted{}
	switch request.Type {
	case requestShell:
		if len(request.Payload) > 0 {
			return nil, errMessage
		}
		w.shell = true
		w.asking = on(requestShell, requestShell, actionShell, "")
	case requestSubsystem:
		m, err := read[textMessage](request.Payload)
		if err != nil {
			return nil, err
		}
		w.files = m.Text == subsystemSFTP
		w.asking = on(requestSubsystem, requestSubsystem+" "+m.Text, actionSubsystem, m.Text)
		if w.files && p.terminal != nil {
			// It edits what it carries, by modes that the client chooses: the target would read other
			// requests than those that were decided.
			w.refuse = never("SFTP does not run on a terminal: ask for none, as by ssh -T")
		}
	default:
		m, err := read[textMessage](request.Payload)
		if err != nil {
			return nil, err
		}
		w.line(m.Text, &p.options, p.terminal != nil)
	}
	w.unmetered, w.answers = w.files, !w.files
	w.text = request.Type != requestSubsystem && !w.moves
	if p.terminal != nil {
		w.properties = append(w.properties, propertyTerminal)
	}
	return w, nil
}

// line reads a command line.
func (w *wanted) line(text string, o *options, terminal bool) {
	line := command.Read(text, command.Options{Shell: o.Shell, Terminal: terminal, Environment: o.Environment})
	w.asking = asking{kind: requestExec, statement: text}
	if t := line.Transfer; t != nil && !terminal {
		w.transfer(t)
		return
	}
	for i := range line.Commands {
		c := &line.Commands[i]
		w.add(policy.Access{Action: actionExec, Resource: c.Resource(), Indirect: c.Indirect})
		if c.Verb != "" {
			w.add(policy.Access{Action: actionExec, Resource: c.Resource() + " " + c.Verb, Indirect: true})
		}
		if c.As != "" {
			w.properties = append(w.properties, propertyOtherUser)
		}
		if c.Host != "" {
			w.properties = append(w.properties, propertyOtherHost)
		}
	}
	for _, f := range line.Files {
		if f.Read {
			w.add(policy.Access{Action: sftp.ActionRead, Resource: written(f.Path)})
		}
		if f.Write {
			w.add(policy.Access{Action: sftp.ActionWrite, Resource: written(f.Path)})
		}
		if climbs(f.Path) {
			w.add(unreadable(""))
		}
	}
	w.unread = line.Unknown
	for _, u := range line.Unknown {
		w.add(unreadable(u.Command))
	}
	if !needsAllow(w.accesses) {
		// What stays within the shell needs no Allow beside others; alone, it does.
		for i := range w.accesses {
			w.accesses[i].Indirect = false
		}
		if len(w.accesses) == 0 {
			w.add(policy.Access{Action: actionExec})
		}
	}
}

// transfer is a line that starts a server for files. SFTP is read further; what the others
// do at a path, and below it, is not.
func (w *wanted) transfer(t *command.Transfer) {
	if t.Protocol == command.SFTP {
		w.files = true
		w.add(policy.Access{Action: actionSubsystem, Resource: subsystemSFTP})
		return
	}
	w.moves = true
	w.properties = append(w.properties, map[command.Protocol]string{
		command.SCP: propertySCP, command.Rsync: propertyRsync, command.Git: propertyGit,
	}[t.Protocol])
	for _, p := range t.Paths {
		if climbs(p) {
			w.add(unreadable(string(t.Protocol)))
		}
		if t.Upload {
			w.add(policy.Access{Action: actionUpload, Resource: absolute(p)})
		}
		if t.Download {
			w.add(policy.Access{Action: actionDownload, Resource: absolute(p)})
		}
		if t.Protocol == command.Git {
			w.git(absolute(p), t.Upload)
		}
	}
}

// git adds the other repository that a path may come to: where there is none, git looks for one with
// ".git" at the end. That needs no Allow beside the first, and no Deny of it is got round.
func (w *wanted) git(repository string, upload bool) {
	action := actionDownload
	if upload {
		action = actionUpload
	}
	w.add(policy.Access{Action: action, Resource: repository + ".git", Indirect: true})
}

func (w *wanted) add(a policy.Access) { w.accesses = append(w.accesses, a) }

// unreadable is the access of what a text does not tell: no pattern matches it.
func unreadable(about string) policy.Access {
	return policy.Access{Action: policy.ActionUnknown, Resource: about}
}

func needsAllow(accesses []policy.Access) bool {
	for _, a := range accesses {
		if a.NeedsAllow() {
			return true
		}
	}
	return false
}

// written is the path of a redirection as policies name it: one without a directory is below
// the current one, which is not known.
func written(p string) string {
	if strings.HasPrefix(p, "/") || strings.HasPrefix(p, "~") {
		return path.Clean(p)
	}
	return "./" + path.Clean(p)
}

// absolute is a path as policies name it: what is below the home directory begins with "~/".
func absolute(p string) string {
	switch {
	case strings.HasPrefix(p, "/"):
		return path.Clean(p)
	case p == "~" || strings.HasPrefix(p, "~/"):
		return "~" + path.Clean("/"+strings.TrimPrefix(p, "~"))
	}
	return "~" + path.Clean("/"+p)
}

// climbs says whether a path has ".." elements, behind which a link leads elsewhere.
func climbs(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// harmless says whether a variable changes nothing of what commands do: it is one that package
// command lets lines set, in such a value, or one that the Connection names.
func harmless(name, value string, environment []string) bool {
	if strings.ContainsAny(value, "'\x00\n\r") {
		return false
	}
	line := command.Read(name+"='"+value+"' true", command.Options{Shell: command.Sh, Environment: environment})
	return len(line.Unknown) == 0
}

// hint adds to a refusal what could not be read, which the caller can write otherwise.
func (w *wanted) hint(refusal *access.Refusal) *access.Refusal {
	if len(w.unread) == 0 || refusal.Reason != access.ReasonNotAllowed {
		return refusal
	}
	told := *refusal
	for _, u := range w.unread[:min(len(w.unread), 4)] {
		told.Hint += "\nWhat the line does is not plain: " + u.Detail + "."
	}
	return &told
}
