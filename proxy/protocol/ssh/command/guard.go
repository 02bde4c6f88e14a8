// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// guard tells harmful options of a program from the others.
type guard struct {
	long    []string // long options, also where they are abbreviated, and after one "-"
	letters string   // short ones, anywhere in a cluster
	bare    bool     // the first word is a cluster also without "-", as of tar
	words   []string // operands that run others, also where they are abbreviated
	files   bool     // an operand with a directory is a file whose code runs
	single  bool     // long options have one "-", too, and may be abbreviated
	colon   bool     // an operand "host:file" starts ssh
	pages   bool     // it pages on a terminal
}

var (
	archiver = guard{
		long: []string{
			"checkpoint-action", "to-command", "use-compress-program", "info-script", "new-volume-script", "rsh-command", "rmt-command",
			"multi-volume", "tape-length", // ask for the next volume, and take ! for a shell
		}, letters: "IFML", bare: true, colon: true,
	}
	packager   = guard{long: []string{"option", "config-file"}, letters: "oc", words: []string{"changelog", "edit-sources", "source", "build-dep"}, files: true, pages: true}
	connecting = guard{long: []string{"exec", "sh-exec", "lua-exec"}, letters: "ec"}
	searching  = guard{long: []string{"exec", "exec-batch"}, letters: "xX"}
	dandified  = guard{long: []string{"config", "setopt", "installroot", "repofrompath", "enableplugin"}, letters: "c", words: []string{"shell", "builddep"}, files: true, pages: true}
	filtering  = guard{long: []string{"modprobe"}, letters: "M"}
	copying    = guard{letters: "SoFDJ"}
	linking    = guard{long: []string{"plugin"}}
	// Of systemd's programs: they reach other machines by ssh, and show their output with a pager.
	paging = guard{long: []string{"host", "machine"}, letters: "HM", pages: true}
)

// guarded are programs that run others by few options.
var guarded = map[string]guard{
	"tar": archiver, "gtar": archiver, "bsdtar": archiver,
	"cpio": {long: []string{"rsh-command"}, colon: true},
	"zip":  {long: []string{"unzip-command"}, letters: "T"},
	"7z":   {letters: "I"},
	"apt":  packager, "apt-get": packager, "aptitude": packager, "apt-cache": packager, "apt-mark": packager, "apt-config": packager, "apt-cdrom": packager, "apt-ftparchive": packager,
	"yum": dandified, "dnf": dandified, "microdnf": dandified,
	"nc": connecting, "ncat": connecting, "netcat": connecting,
	"fd": searching, "fdfind": searching,
	"rg":      {long: []string{"pre", "hostname-bin"}},
	"tcpdump": {letters: "z"},
	"sort":    {long: []string{"compress-program", "output"}, letters: "o"},
	"split":   {long: []string{"filter"}},
	"scp":     copying, "rcp": copying, "ssh-copy-id": copying,
	"iptables": filtering, "ip6tables": filtering, "iptables-restore": filtering, "ip6tables-restore": filtering, "iptables-save": filtering, "ip6tables-save": filtering,
	"iptables-nft": filtering, "ip6tables-nft": filtering, "iptables-legacy": filtering, "ip6tables-legacy": filtering, "ebtables": filtering, "arptables": filtering,
	"mdadm":               {long: []string{"program"}, letters: "p"},
	"updatedb":            {long: []string{"findoptions", "localuser", "netuser"}},
	"wget":                {long: []string{"use-askpass", "config", "execute"}, letters: "e"},
	"curl":                {long: []string{"config", "engine"}, letters: "K"},
	"ip":                  {words: []string{"netns", "vrf"}, long: []string{"batch"}, single: true},
	"tc":                  {words: []string{"exec"}, long: []string{"batch"}, single: true},
	"svn":                 {long: []string{"config-option", "diff-cmd", "diff3-cmd", "editor-cmd", "config-dir"}},
	"hg":                  {long: []string{"config", "config-file", "debugger"}},
	"patch":               {letters: "e", long: []string{"ed"}},
	"nginx":               {letters: "cgpe"},
	"install":             {long: []string{"strip-program"}},
	"diff3":               {long: []string{"diff-program"}},
	"modprobe":            {letters: "C", long: []string{"config"}},
	"update-alternatives": {long: []string{"install", "slave", "altdir", "admindir"}},
	"pg_ctl":              {letters: "op", long: []string{"options"}},
	"sdiff":               {long: []string{"diff-program", "output"}, letters: "o"}, // which asks for an editor
	"dmesg":               {long: []string{"human"}, letters: "H"},
	"pidstat":             {letters: "e"},
	"dmsetup":             {long: []string{"exec"}},
	"service":             {files: true},
	"nm":                  linking, "ar": linking, "ranlib": linking, "strip": linking, "objdump": linking, "objcopy": linking,
	"journalctl": paging, "loginctl": paging, "timedatectl": paging, "hostnamectl": paging, "localectl": paging, "resolvectl": paging,
	"bootctl": paging, "systemd-cgls": paging, "oomctl": paging,
	"networkctl":      {long: paging.long, letters: paging.letters, words: []string{"edit"}, pages: true},
	"systemd-analyze": {long: paging.long, letters: paging.letters, words: []string{"unit-shell"}, pages: true},
	"ssh-keygen":      {letters: "Dw"},
	"ssh-add":         {letters: "s"},
	"aws":             {pages: true},
	"gh":              {pages: true},
	"bat":             {long: []string{"pager", "paging", "diff"}, pages: true},
	"lsof":            {letters: "D"},
	"dstat":           {long: []string{"plugin"}},
}

// check reads a program by its guard.
func (g guard) check(r *reader, at spot, c *Command) {
	for i, w := range c.Args {
		if !operand(w) && w.Form != Literal {
			r.unknown(ReasonExpansion, c.Name, "%s has an argument that may be an option under which it runs commands: write it out, with ./ before a pattern", c.Name)
			continue
		}
		if g.harms(w.Text, i == 0) || g.colon && !local(w) {
			r.unknown(ReasonProgram, c.Name, "%s runs commands with %s: leave it out", c.Name, quote(w.Text))
		}
		if g.files && (w.Form != Literal || operand(w) && strings.Contains(w.Text, "/")) {
			r.file(at, c, []Word{w})
		}
	}
	if g.pages {
		r.paged(at, c)
	}
}

// local says that a word is certainly no "host:file", as far as it is not in the text.
func local(w Word) bool {
	return w.Form == Literal || w.home || strings.HasPrefix(w.Text, "/") || strings.HasPrefix(w.Text, "./")
}

func (g guard) harms(text string, first bool) bool {
	switch {
	case strings.HasPrefix(text, "--"):
		name, _, _ := strings.Cut(text[2:], "=")
		return name != "" && begins(g.long, name)
	case strings.HasPrefix(text, "-") || first && g.bare:
		if strings.ContainsAny(text, g.letters) {
			return true
		}
		for _, h := range g.long {
			if strings.HasPrefix(text, "-"+h) || g.single && len(text) > 1 && strings.HasPrefix("-"+h, text) {
				return true
			}
		}
		return g.colon && strings.Contains(text, ":")
	}
	return text != "" && begins(g.words, text) || g.colon && strings.Contains(text, ":")
}

// begins says that one of the words begins with a text.
func begins(words []string, text string) bool {
	for _, w := range words {
		if strings.HasPrefix(w, text) {
			return true
		}
	}
	return false
}

// openssl reads commands where it is given none.
func openssl(r *reader, at spot, c *Command) {
	if len(c.Args) == 0 {
		r.unknown(ReasonInput, c.Name, "openssl runs the commands that it reads: name one")
		return
	}
	guard{words: []string{"engine"}, long: []string{"engine", "provider", "config"}}.check(r, at, c)
}
