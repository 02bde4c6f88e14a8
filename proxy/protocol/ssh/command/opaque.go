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
		"gcc cc g++ c++ clang tcc go rustc cpp tic nix nix-shell guix snap flatpak rpmbuild zypper apk pacman emerge logrotate certbot puppet chef-client vagrant virsh " +
		"psql mysql mariadb mysqlsh sqlite sqlite3 sqlplus mongo mongosh ftp sftp lftp ncftp tftp telnet gnuplot units dc m4 debugfs nmap tshark aria2c irssi weechat tig " + // clients with escapes
		"sudoedit visudo vipw vigr select-editor sensible-editor sensible-pager sensible-browser editor pager xdg-open run-mailcap see gettext msgfilter ldd " + // by variables
		"chronic ifne zrun pee vipe vidir systemd-inhibit systemd-cat systemd-socket-activate fzf sk ncdu openvpn sshfs grc smbclient tmate ttyd xdotool asciinema direnv faketime " +
		"bpftrace dtrace stap sysdig pm2 foreman envconsul consul consul-template nomad etcdctl terraform tofu packer dotnet sbt lein mix swift dart stack cabal ghc zig " +
		"latex latexmk pdflatex pdftex tex lualatex luatex xelatex xetex dvips gs exiftool restic rclone rustup volatility aspell ispell enscript troff groff nroff pic eqn tbl " +
		"command fc getopts hash jobs read wait " + // the shell's builtins, which are programs in some distributions
		"coreutils runcon mispipe rename prename file-rename perl-rename msgexec setarch uname26 uclampset coresched pipesz enosys scriptlive catchsegv sotruss eu-run hyperfine multitime pexec aa-exec aoss softlimit ksu genie " +
		"busctl dbus-send gdbus qdbus coredumpctl homectl userdbctl portablectl systemd-resolve " + // units and sessions that run anything
		"sshd exim exim4 sendmail httpd apache2 inetd xinetd tcpsvd udpsvd telnetd runsv runsvdir runit svlogd crond cron anacron incrond udhcpc udhcpc6 dhclient dhcpcd ntpd zcip ifplugd pppd ifup ifdown wg-quick " +
		"cttyhack uevent mdev udevadm openrc-run runscript dpkg-buildpackage debuild sbuild pbuilder debootstrap opkg pkg easy_install popmaildir reformime " +
		"pgbench postgres initdb duckdb pgcli mycli litecli usql psftp mlr csvtool pandoc facter knife bats sqlmap msfconsole ansible-test cdist eb gcloud az k3s microk8s minikube k9s lazygit lazydocker gitui " +
		"iftop hping3 minicom picocom cu tip kermit bconsole crash scanmem tdbtool tasksh calc ginsh gp maxima pry byebug pdb ipython bpython ptpython micropython jjs slsh redcarpet unsquashfs varnishncsa xdg-user-dir yelp neofetch " +
		"R ghci scheme jshell erl iex wish sbcl " + // they read code behind a file, too
		"wpa_cli hostapd_cli dnsmasq keepalived rsyslogd zabbix_agentd zabbix_agent2 dropbear dropbearmulti xtables-multi xtables-legacy-multi xtables-nft-multi star afio dar chsh " +
		"cowsay cowthink bashbug perlbug check_by_ssh as ld c89 c99 clang++ cobc emacs-gtk emacs-nox emacs-lucid gimp dosbox watchman")

// never is for programs of which no use is read but to ask for the version.
func never(r *reader, _ spot, c *Command) {
	if len(c.Args) == 1 && c.Args[0].Form == Literal && (c.Args[0].Text == "--version" || c.Args[0].Text == "--help") {
		return
	}
	r.unknown(ReasonProgram, c.Name, "%s can run other commands, by its files, options or keys: give the caller a command of the target that does just this", c.Name)
}
