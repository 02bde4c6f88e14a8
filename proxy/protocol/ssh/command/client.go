// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
)

// client reads a program whose operations words name, and which has them done elsewhere: by a daemon, in
// a cluster. What starts programs by its words, such as exec, run and apply, is not among them.
type client struct {
	// global are the options before the operation.
	global grammar
	verbs  map[string]bool
	// objects are words that may stand before an operation; there it may also be one of objectVerbs.
	objects map[string]bool
	// harmful are beginnings of long options that name programs, their configuration, or another machine.
	harmful []string
}

const containers = "ps images logs stats top version pull start stop restart pause unpause kill rm "

var (
	objects     = set("container image volume network system")
	objectVerbs = set("ls list inspect prune df info history logs stats top pull start stop restart pause unpause kill rm")
)

// compose is docker's plugin, and a program. What up, run and exec start, its files say.
var compose = client{
	global: grammar{valued: "fp", words: set("file= project-name= project-directory= profile= env-file= ansi= no-ansi")},
	verbs:  set(containers + "down ls events"), harmful: []string{"host", "config", "context"},
}

// clients are those that are read.
var clients = map[string]client{
	"docker": {verbs: set(containers + "inspect info rmi"), objects: objects, harmful: []string{"host", "config", "context"}},
	"podman": {verbs: set(containers + "inspect info rmi"), objects: objects, harmful: []string{
		"runtime", "conmon", "hooks-dir", "storage-", "network-cmd", "module", "ssh", "url", "identity", "connection", "remote", "config", "root", "cgroup-manager", "volumepath", "tmpdir", "imagestore",
	}},
	"docker-compose": compose, "podman-compose": compose,
	"kubectl": {
		global: grammar{valued: "n", words: set("namespace= context= request-timeout=")},
		verbs: set("get describe logs top version api-resources api-versions cluster-info explain events rollout scale autoscale delete wait " +
			"cordon uncordon drain taint label annotate"),
		harmful: []string{"kube", "config", "pre"},
	},
}

func (p client) read(r *reader, _ spot, c *Command) {
	_, rest, ok := r.split(c, c.Args, p.global)
	if !ok {
		return
	}
	if c.Name == "docker" && len(rest) > 0 && rest[0].Form == Literal && rest[0].Text == "compose" {
		p = compose
		if _, rest, ok = r.split(c, rest[1:], p.global); !ok {
			return
		}
	}
	verbs := p.verbs
	if len(rest) > 1 && rest[0].Form == Literal && p.objects[rest[0].Text] {
		verbs, rest = objectVerbs, rest[1:]
	}
	if len(rest) == 0 || rest[0].Form != Literal {
		r.unknown(ReasonProgram, c.Name, "what %s does is not in the text: name its operation", c.Name)
		return
	}
	c.Verb = rest[0].Text
	if !verbs[c.Verb] && c.Verb != "--version" && c.Verb != "--help" {
		r.unknown(ReasonProgram, c.Name, "%s %s may run commands: name another operation first, such as logs, or put it into a script of the target", c.Name, quote(c.Verb))
	}
	for _, w := range rest[1:] {
		name, long := strings.CutPrefix(w.Text, "--")
		attaches := c.Verb == "start" && (strings.HasPrefix(w.Text, "--attach") || strings.HasPrefix(w.Text, "--inter") || !long && strings.HasPrefix(w.Text, "-") && strings.ContainsAny(w.Text, "ai"))
		harms := attaches || strings.HasPrefix(w.Text, "-H") || long && slices.ContainsFunc(p.harmful, func(h string) bool { return strings.HasPrefix(name, h) })
		if harms || w.Form != Literal && !operand(w) {
			r.unknown(ReasonProgram, c.Name, "%s runs commands, or takes its configuration, with %s: leave it out", c.Name, quote(w.Text))
		}
	}
}
