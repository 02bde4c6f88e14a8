// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// tool reads the arguments of a program that can run others. The command is noted already;
// c may move when more are, so it is read before.
type tool func(r *reader, at spot, c *Command)

// tools are the programs that are looked into, by name without a version. It is filled in by
// init, since most of them read commands in turn.
var tools map[string]tool

func init() {
	tools = map[string]tool{
		"env": env, "nice": wrapper(niceness), "nohup": wrapper(grammar{}), "timeout": timeout, "setsid": wrapper(grammar{flags: "cfw", words: set("ctty fork wait")}),
		"stdbuf": wrapper(grammar{valued: "ioe", words: set("input= output= error=")}), "ionice": ionice, "time": wrapper(grammar{flags: "p", words: set("portability")}),
		"watch": watch, "xargs": xargs, "find": find, "flock": flock, "script": script, "busybox": multicall, "toybox": multicall,
		"sudo": sudo, "doas": doas, "su": su, "chroot": chroot, "unshare": unshare, "nsenter": nsenter, "ssh": ssh,
		"sed": sed, "gsed": sed, "awk": awk, "gawk": awk, "mawk": awk, "nawk": awk, "original-awk": awk,
		"git": git, "systemctl": systemctl, "crontab": crontab, "rsync": rsync,
		"docker":  verbs("ps images logs inspect stats top version info pull start stop restart pause unpause rm rmi"),
		"podman":  verbs("ps images logs inspect stats top version info pull start stop restart pause unpause rm rmi"),
		"kubectl": verbs("get describe logs top version api-resources cluster-info"),
	}
	for name := range shells {
		tools[name] = shell
	}
	for name := range pagers {
		tools[name] = paging
	}
	for name := range interpreters {
		tools[name] = interpreter
	}
	for name := range opaque {
		tools[name] = never
	}
	for name, g := range guarded {
		tools[name] = g.check
	}
}

// toolOf finds the reader of a program: python3.11 is python, and gawk-5.1 gawk.
func toolOf(name string) tool {
	if t := tools[name]; t != nil {
		return t
	}
	if strings.HasPrefix(name, "git-") && !gitServers[name] {
		return never
	}
	lower := strings.ToLower(name)
	lower = strings.TrimSuffix(lower, ".exe")
	if strings.HasPrefix(lower, "ld-") || strings.HasPrefix(lower, "ld.") {
		return never // the dynamic linker runs what it is given
	}
	if t := tools[lower]; t != nil {
		return t
	}
	stem := strings.TrimRight(lower, "0123456789.-")
	for _, suffix := range []string{"", "-config", ".basic", ".tiny", ".nox", ".gtk"} {
		if t := tools[strings.TrimRight(strings.TrimSuffix(stem, suffix), "0123456789.-")]; t != nil {
			return t
		}
	}
	return nil
}

// pagers are programs that show their output with a pager, whose keys run commands, when they
// have a terminal.
var pagers = set("journalctl loginctl timedatectl hostnamectl networkctl localectl resolvectl coredumpctl bootctl busctl systemd-analyze systemd-cgls userdbctl homectl portablectl oomctl")

func paging(r *reader, at spot, c *Command) {
	for _, w := range c.Args {
		if w.Form != Literal && !operand(w) {
			r.unknown(ReasonExpansion, c.Name, "%s has an argument that may be an option: put it behind a directory or a word", c.Name)
		}
		if remote(w.Text) {
			r.unknown(ReasonProgram, c.Name, "%s reaches another machine by ssh with %s: connect to that", c.Name, quote(w.Text))
		}
	}
	r.paged(at, c)
}

// remote says that an option of systemd's programs starts ssh or enters a container.
func remote(text string) bool {
	for _, long := range []string{"--host", "--machine"} {
		name, _, _ := strings.Cut(text, "=")
		if len(name) > 2 && strings.HasPrefix(long, name) {
			return true
		}
	}
	return len(text) > 1 && text[0] == '-' && text[1] != '-' && strings.ContainsAny(text, "HM")
}

// paged refuses a program that would page on a terminal.
func (r *reader) paged(at spot, c *Command) {
	if !at.terminal {
		return
	}
	for _, w := range c.Args {
		if w.Form == Literal && w.Text == "--no-pager" {
			return
		}
	}
	r.unknown(ReasonProgram, c.Name, "%s shows its output with a pager, which runs commands by keys: add --no-pager, or ask for no terminal", c.Name)
}
