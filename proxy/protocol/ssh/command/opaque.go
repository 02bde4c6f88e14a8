// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

// opaque are programs that run others by what they read, by keys, code or files, in so
// many ways that no use of them is read. What is missing here, the rule that allows it vouches for.
var opaque = set(
	"vi vim nvim view vimdiff rvim rview gvim evim ex ed red emacs emacsclient xemacs mg jed joe jpico nano rnano pico micro ne kak hx mcedit " + // editors
		"less more most zless zmore bzless xzless pg man info pinfo w3m lynx links elinks mutt mail mailx nnn ranger mc vifm lf screen tmux byobu dtach abduco " + // pagers, screens
		"parallel rush at batch run-parts runuser setpriv pkexec capsh start-stop-daemon daemon daemonize systemd-run systemd-nspawn machinectl run0 " + // runners
		"chrt taskset numactl prlimit chpst setuidgid envuidgid envdir setlock s6-setuidgid s6-envdir strace ltrace truss valgrind perf gdb gdbserver lldb rlwrap unbuffer socat " +
		"dbus-run-session dbus-launch xvfb-run fakeroot fakechroot proot firejail bwrap ssh-agent sshpass torsocks torify proxychains proxychains4 tsocks logsave cgexec choom " +
		"dumb-init tini gosu su-exec entr watchexec inotifyd rr eatmydata cpulimit trickle lxc lxc-attach lxc-execute nerdctl ctr crictl newgrp sg login agetty getty openvt " +
		"linux32 linux64 i386 x86_64 setarch arch-chroot schroot dchroot pivot_root switch_root distcc " +
		"oc helm ansible ansible-playbook salt salt-call salt-ssh pssh pdsh clush mosh mosh-server autossh rsh rexec rlogin dbclient plink xterm uxterm urxvt gnome-terminal konsole x-terminal-emulator " + // elsewhere
		"make gmake bmake cmake ctest ninja scons meson ant mvn gradle gradlew rake bundle bundler npm npx yarn pnpm pip pipx poetry tox nox cargo just task cpan cpanm composer gem " + // builders
		"gcc cc g++ c++ clang tcc go rustc cpp tic nix nix-shell guix snap flatpak rpm rpmbuild yum dnf zypper apk pacman emerge logrotate certbot puppet chef-client vagrant virsh " +
		"psql mysql mariadb mysqlsh sqlite sqlite3 sqlplus mongo mongosh ftp sftp lftp ncftp tftp telnet gnuplot units dc m4 debugfs nmap tshark aria2c irssi weechat tig " + // clients with escapes
		"sudoedit visudo vipw vigr select-editor sensible-editor sensible-pager sensible-browser editor pager xdg-open run-mailcap see gettext msgfilter ldd " + // by variables
		"chronic ifne zrun pee vipe vidir systemd-inhibit systemd-cat systemd-socket-activate fzf sk ncdu openvpn sshfs grc smbclient tmate ttyd xdotool asciinema direnv faketime " +
		"bpftrace dtrace stap sysdig pm2 foreman envconsul consul consul-template nomad etcdctl terraform tofu packer dotnet sbt lein mix swift dart stack cabal ghc zig " +
		"latex pdflatex pdftex tex lualatex luatex xelatex gs exiftool restic rclone rustup volatility aspell ispell enscript troff groff nroff")

// guard tells harmful options of a program from the others.
type guard struct {
	long    []string // long options, also where they are abbreviated, and after one "-"
	letters string   // short ones, anywhere in a cluster
	bare    bool     // the first word is a cluster also without "-", as of tar
	words   []string // operands that run others, also where they are abbreviated
	colon   bool     // an operand "host:file" starts ssh
	pages   bool     // it pages on a terminal
}

var (
	archiver = guard{
		long: []string{
			"checkpoint-action", "to-command", "use-compress-program", "info-script", "new-volume-script", "rsh-command", "rmt-command",
		}, letters: "IF", bare: true, colon: true,
	}
	packager   = guard{long: []string{"option", "config-file"}, letters: "oc", words: []string{"changelog", "edit-sources"}, pages: true}
	connecting = guard{long: []string{"exec", "sh-exec", "lua-exec"}, letters: "ec"}
	searching  = guard{long: []string{"exec", "exec-batch"}, letters: "xX"}
)

// guarded are programs that run others by few options.
var guarded = map[string]guard{
	"tar": archiver, "gtar": archiver, "bsdtar": archiver,
	"cpio": {long: []string{"rsh-command"}, colon: true},
	"zip":  {long: []string{"unzip-command"}, letters: "T"},
	"7z":   {letters: "I"},
	"apt":  packager, "apt-get": packager, "aptitude": packager,
	"dpkg": {long: []string{"pre-invoke", "post-invoke", "root", "instdir", "admindir"}, pages: true},
	"nc":   connecting, "ncat": connecting, "netcat": connecting,
	"fd": searching, "fdfind": searching,
	"rg":         {long: []string{"pre", "hostname-bin"}},
	"tcpdump":    {letters: "z"},
	"sort":       {long: []string{"compress-program", "output"}, letters: "o"},
	"split":      {long: []string{"filter"}},
	"scp":        {letters: "SoFDJ"},
	"wget":       {long: []string{"use-askpass", "config", "execute"}, letters: "e"},
	"curl":       {long: []string{"config"}, letters: "K"},
	"ip":         {words: []string{"netns", "vrf"}, letters: "b", long: []string{"batch"}},
	"svn":        {long: []string{"config-option", "diff-cmd", "diff3-cmd", "editor-cmd", "config-dir"}},
	"hg":         {long: []string{"config", "config-file", "debugger"}},
	"patch":      {letters: "e", long: []string{"ed"}},
	"nginx":      {letters: "cgpe"},
	"openssl":    {long: []string{"engine", "provider", "config"}},
	"ssh-keygen": {letters: "Dw"},
	"ssh-add":    {letters: "s"},
	"aws":        {pages: true},
	"gh":         {pages: true},
	"bat":        {long: []string{"pager", "paging", "diff"}, pages: true},
	"lsof":       {letters: "D"},
	"iftop":      {letters: "c"},
	"dstat":      {long: []string{"plugin"}},
}
