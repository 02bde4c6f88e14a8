// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"slices"
	"sync"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/ssh/sftp"
)

// The actions beside those of package sftp.
const (
	actionShell     = "shell"
	actionExec      = "exec"
	actionEnv       = "env"
	actionSubsystem = "subsystem"
	actionUpload    = "upload"
	actionDownload  = "download"
	actionForward   = "forward"
	actionListen    = "listen"
	actionAccept    = "accept"
	actionAgent     = "agent"
	actionX11       = "x11"
)

// The properties beside those of package sftp.
const (
	propertyTerminal  = "terminal"
	propertyOtherUser = "otherUser"
	propertyOtherHost = "otherHost"
	propertySCP       = "scp"
	propertyRsync     = "rsync"
	propertyGit       = "git"
)

// The resources of actionAccept that are no listener's.
const (
	resourceAgent = "agent"
	resourceX11   = "x11"
)

// vocabulary is made once, since policies are held against it all the time.
var vocabulary = sync.OnceValue(func() policy.Vocabulary {
	return policy.Vocabulary{
		Resource: "a path, host:port or name, as the action has it",
		Content:  "what commands and shells say",
		Row:      "a name of a directory that is listed by SFTP",
		Role:     "a login name at the target",
		Actions: slices.Concat([]policy.Term{
			{Name: actionShell, Doc: "start the login shell. What is typed into it is recorded and not decided. No resource."},
			{Name: actionExec, Doc: "run a simple command of a command line, also within pipes, substitutions, sudo, xargs and the like. Resource: its path as written, else its name. " +
				"Where its first operand names what it does, path and operand together are reached too, so that rules may deny or hold them: \"/usr/bin/systemctl restart\"."},
			{Name: actionEnv, Doc: "set an environment variable for what is run. Resource: its name."},
			{Name: actionSubsystem, Doc: "start a subsystem; of sftp, each file is decided besides. Resource: its name."},
			{Name: actionUpload, Doc: "send files by scp's old protocol, rsync or git, at the path and below it, of which single files are not decided. Resource: the path."},
			{Name: actionDownload, Doc: "fetch files by scp's old protocol, rsync or git, at the path and below it. Resource: the path."},
			{Name: actionForward, Doc: "connect from the target to another place (ssh -L, -D, -W, -J). Resource: host:port as the client names it, or the path of a socket."},
			{Name: actionListen, Doc: "listen at the target for the client (ssh -R). Resource: address:port, with * for all addresses and 0 for any port, or the path of a socket."},
			{Name: actionAccept, Doc: "pass a connection that came to the target on to the client. Resource: the listener's address:port or path, agent, or x11."},
			{Name: actionAgent, Doc: "let the target use the client's key agent (ssh -A). No resource."},
			{Name: actionX11, Doc: "let programs of the target open windows at the client (ssh -X). No resource."},
			{Name: policy.ActionUnknown, Doc: "a command line that does what its text does not tell. Whoever allows it allows all commands. Resource: the command that it is about, or none."},
		}, sftp.Actions),
		Properties: slices.Concat([]policy.Term{
			{Name: propertyTerminal, Doc: "runs with a terminal"},
			{Name: propertyOtherUser, Doc: "runs a command as another user, as by sudo -u"},
			{Name: propertyOtherHost, Doc: "runs a command on yet another machine, as by ssh"},
			{Name: propertySCP, Doc: "moves files by scp's old protocol"},
			{Name: propertyRsync, Doc: "moves files by rsync"},
			{Name: propertyGit, Doc: "moves objects of git"},
		}, sftp.Properties),
	}
})
