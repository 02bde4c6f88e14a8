// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// honesty is a line of daily work, and all that it does: the commands that need an Allow, as
// [account@]resource[:verb][@host], and files as <read, >written and >>appended.
type honesty struct {
	line   string
	does   string
	reason string
	in     []command.Shell // empty for all
}

var inBash = []command.Shell{command.Bash}

// does is what a reading comes to, in the words of the tables.
func does(l command.Line) string {
	var out []string
	for i := range l.Commands {
		c := &l.Commands[i]
		if c.Indirect {
			continue
		}
		s := c.Resource()
		if c.As != "" {
			s = c.As + "@" + s
		}
		if c.Verb != "" {
			s += ":" + c.Verb
		}
		if c.Host != "" {
			s += "@" + c.Host
		}
		out = append(out, s)
	}
	for _, f := range l.Files {
		mark := "<"
		if f.Append {
			mark = ">>"
		} else if f.Write {
			mark = ">"
		}
		out = append(out, mark+f.Path)
	}
	return strings.Join(out, " ")
}

// TestHonest is that lines of daily work are read, and as what they are.
func TestHonest(t *testing.T) {
	list := slices.Concat(honestLines, honestScripts, honestPrograms)
	if len(list) < 110 {
		t.Errorf("there are %d honest lines, of at least 110", len(list))
	}
	for _, h := range list {
		shells := h.in
		if len(shells) == 0 {
			shells = everyShell
		}
		for _, shell := range shells {
			l := command.Read(h.line, command.Options{Shell: shell, Environment: []string{"RAILS_ENV"}})
			if len(l.Unknown) > 0 {
				t.Errorf("%s refuses %q (%s): %v", shell, h.line, h.reason, l.Unknown)
			} else if got := does(l); got != h.does {
				t.Errorf("%s reads %q (%s) as %q, want %q", shell, h.line, h.reason, got, h.does)
			}
		}
	}
	t.Logf("%d honest lines", len(list))
}

// honestLines are what people and tools type.
var honestLines = []honesty{
	{"uptime", "uptime", "a command", nil},
	{"  uptime  ", "uptime", "blanks around", nil},
	{"ls -la /var/log", "ls", "arguments", nil},
	{"/usr/bin/uptime", "/usr/bin/uptime", "a path", nil},
	{"/usr//bin/./uptime", "/usr/bin/uptime", "the same path", nil},
	{"./deploy.sh prod", "./deploy.sh", "a program of the directory", nil},
	{"bin/rails runner x", "./bin/rails", "a path without ./", nil},
	{"~/bin/backup --full", "~/bin/backup", "the home directory", nil},
	{"\"$HOME/bin/backup\"", "~/bin/backup", "the home directory by its variable", nil},
	{"cat /etc/os-release", "cat", "a file", nil},
	{"cat 'a file' \"another file\" a\\ third", "cat", "quotes", nil},
	{`ls "a\"; rm x; "`, "ls", "what looks like a command is text", nil},
	{`grep 'rm -rf' log; echo "a; b && c | d"`, "grep", "the same", nil},
	{"cat café.txt", "cat", "names that are not ASCII", nil},
	{"grep 'größe' 'datei'", "grep", "text that is not ASCII", nil},
	{"grep -r TODO src/*.go", "grep", "a pattern of files", nil},
	{"ls *.log", "ls", "a pattern, for a program that runs nothing", nil},
	{"ls [a-z]*", "ls", "a range", nil},
	{"ls {a,b}.txt", "ls", "braces", nil},
	{"ls $HOME \"$X\" ${Y:-/tmp}", "ls", "variables as arguments", nil},
	{"echo $((1 + 2)) $? $# $$", "", "numbers", nil},
	{"echo \"${x%.txt}\" ${#x}", "", "parts of variables", nil},
	{"uptime; df -h; ps aux", "uptime df ps", "a list", nil},
	{"uptime && df -h || ps", "uptime df ps", "conditions", nil},
	{"cd /srv/app && ls", "ls", "another directory", nil},
	{"ps aux | grep nginx | grep -v grep", "ps grep grep", "a pipe", nil},
	{"ps aux|sort -rk 3|head -5", "ps sort head", "a pipe without blanks", nil},
	{"uptime 2>&1", "uptime", "a duplicated descriptor", nil},
	{"ls x 2>/dev/null", "ls >/dev/null", "errors thrown away", nil},
	{"df -h > report.txt", "df >./report.txt", "a file is written", nil},
	{"date >> /var/log/x.log", "date >>/var/log/x.log", "a file is appended to", nil},
	{"wc -l < /etc/passwd", "wc </etc/passwd", "a file is read", nil},
	{"cat > '/tmp/a b'", "cat >/tmp/a b", "a quoted file", nil},
	{"echo \"x\" > ~/.hushlogin", ">~/.hushlogin", "a file of the home directory", nil},
	{"ls &>/dev/null", "ls >/dev/null", "both outputs", inBash},
	{"sleep 5 & wait $!", "sleep", "a job", nil},
	{"(cd /tmp && ls)", "ls", "a subshell", nil},
	{"{ uptime; df; } | cat", "uptime df cat", "a group", nil},
	{"echo \"today is $(date +%F)\"", "date", "a substitution", nil},
	{"ls `pwd`", "ls", "backquotes", nil},
	{"kill $(cat /run/x.pid)", "cat kill", "a builtin that acts", nil},
	{"kill -HUP \"$(cat /run/x.pid)\"", "cat kill", "the same", nil},
	{"test -f /etc/x && cat /etc/x", "cat", "a test", nil},
	{"[ -d /srv ] || mkdir -p /srv", "mkdir", "a test", nil},
	{"[ \"$X\" = yes ] && uptime", "uptime", "a variable in a test", nil},
	{"[ -n \"$X\" -a -z \"$Y\" ] && uptime", "uptime", "two variables in a test", []command.Shell{command.Bash, command.Dash, command.Ash}},
	{"[[ -f /etc/x && $y == a* ]] && uptime", "uptime", "a condition of bash", inBash},
	{"diff <(ls a) <(ls b)", "ls ls diff", "process substitutions", inBash},
	{"cat <<< \"$X\"", "cat", "a here-string", inBash},
	{"ls $'a\\tb'", "ls", "a decoded word", inBash},
	{"command -v git", "", "asks what a name is", nil},
	{"command -v docker >/dev/null 2>&1 && docker ps", "docker:ps >/dev/null", "asks, and runs", nil},
	{"type ls", "", "asks what a name is", nil},
	{"true", "", "a builtin", nil},
	{"exit 3", "", "a builtin", nil},
	{"LANG=C ls", "ls", "a language", nil},
	{"LC_ALL=C.UTF-8 sort x", "sort", "a language", nil},
	{"TZ=Europe/Berlin date", "date", "a time zone", nil},
	{"RAILS_ENV=production ./bin/rails runner x", "./bin/rails", "a variable that the options name", nil},
	{"DEBIAN_FRONTEND=noninteractive apt-get update", "apt-get", "how a program asks", nil},
	{"export LANG=C; ls", "ls", "a language for all", nil},
	{"x=1; y=\"$x\"; echo $y", "", "variables of the line", nil},
	{"echo a \\\n  b", "", "a continued line", nil},
	{"uptime # how long", "uptime", "a comment", nil},
	{"# only a comment\nuptime", "uptime", "a comment", nil},
	{"! grep -q x y", "grep", "negated", nil},
	{"time uptime", "uptime", "time", nil},
	{"exec uptime", "uptime", "in the shell's place", nil},
	{"echo '!' 'a!b' c!", "", "marks that are no history without a terminal", nil},
	{"ls -- -x", "ls", "an end of options", nil},
	{"ls a=b x{} {}", "ls", "words that only look special", nil},
	{"date -u +'%Y-%m-%dT%H:%M:%SZ'", "date", "a time", nil},
	{"uname -sm", "uname", "what VS Code asks", nil},
	{"bash -c 'uname -a'", "uname", "what VS Code asks", nil},
	{"mkdir -p ~/.vscode-server/bin", "mkdir", "what VS Code makes", nil},
	{"uname -a; id; whoami", "uname id whoami", "what JetBrains asks", nil},
	{"hash -r; uptime", "uptime", "names are looked up anew", nil},
	{"mkdir -p ~/.ssh && chmod 700 ~/.ssh && cat >> ~/.ssh/authorized_keys", "mkdir chmod cat >>~/.ssh/authorized_keys", "as ssh-copy-id is done by hand", nil},
	{"ls -1dt /srv/app/releases/*/ | tail -n +6 | xargs -r rm -rf --", "ls tail rm", "old releases go", nil},
	{"ln -sfn /srv/app/releases/7 /srv/app/current", "ln", "a release is switched to", nil},
	{`echo "disk: $(df -h / | tail -1)"`, "df tail", "a report", nil},
	{"pkill -HUP -f gunicorn", "pkill", "a signal", nil},
	{"ss -tlnp; vmstat 1 2", "ss vmstat", "a survey", nil},
	{"wait", "", "waits", nil},
}

// honestScripts are lines with structure.
var honestScripts = []honesty{
	{"for i in 1 2 3; do echo $i; done", "", "a loop", nil},
	{"for f in *.log; do gzip \"$f\"; done", "gzip", "a loop over files", nil},
	{"while ! grep -q up x; do sleep 1; done", "grep sleep", "a loop", nil},
	{"i=0; while [ $i -lt 3 ]; do uptime; i=$((i+1)); done", "uptime", "a count", nil},
	{"for i in 1 2 3; do echo $((i * 2)); done", "", "numbers of a loop", nil},
	{"n=0; for ((n=0; n<3; n++)); do uptime; done", "uptime", "a loop of bash", inBash},
	{"if [ -f x ]; then cat x; else echo none; fi", "cat", "a branch", nil},
	{"if ! command -v rsync >/dev/null; then exit 1; fi", ">/dev/null", "a condition", nil},
	{"case $1 in start|stop) uptime;; *) exit 1;; esac", "uptime", "a case", nil},
	{"ls | while read -r f; do cat \"$f\"; done", "ls cat", "lines that are read", nil},
	{"set -e; uptime; df", "uptime df", "stops at errors", nil},
	{"set -euo pipefail; uptime", "uptime", "stops at errors", nil},
	{"check() { uptime; }; check; check", "uptime", "a function", nil},
	{"say() { echo \"$1\"; }\nsay hello", "", "a function with arguments", nil},
	{"trap 'rm -f /tmp/x' EXIT; uptime", "rm uptime", "a trap", nil},
	{"eval 'uptime'", "uptime", "eval of a text", nil},
	{"cat <<'EOF' > /etc/motd\nhello $(world)\nEOF", "cat >/etc/motd", "a quoted here-document", nil},
	{"cat <<EOF\nhost $HOSTNAME\nEOF", "cat", "a here-document with a variable", nil},
	{"cat > x.conf <<-EOF\n\tkey=value\n\tEOF", "cat >./x.conf", "tabs are removed", nil},
	{"i=0; uptime\nj=1\nf() { echo $((j)); }; f\nf() { ls; }\ndf; f", "uptime ls df", "lines that begin with what others need", nil},
	{"cd /srv\ngit pull\nsystemctl restart app\n", "git:pull systemctl:restart", "several lines", nil},
	{"read -r x < f; echo \"$x\"", "<./f", "a line is read", nil},
	{"umask 022; mkdir x", "mkdir", "a mask", nil},
	{"sleep 1; wait", "sleep", "waits", nil},
	{"a=$(hostname); echo \"$a\"", "hostname", "a variable of a substitution", nil},
	{"( sleep 1; uptime ) >/dev/null 2>&1 &", "sleep uptime >/dev/null", "a job that says nothing", nil},
	{"exec 2>&1; uptime", "uptime", "the shell's own outputs", nil},
	{"printf '%s\\n' \"$X\" | grep x", "grep", "prints", nil},
	{"test -e x || { mkdir x; ls x; }", "mkdir ls", "a group behind a test", nil},
	{"unset x; uptime", "uptime", "a variable goes", nil},
	{"for i in 1 2 3; do curl -fsS http://localhost/health && break; sleep 2; done", "curl sleep", "waits for a service", nil},
	{"timeout 30 bash -c 'until curl -fs localhost/health; do sleep 1; done'", "curl sleep", "waits for a service", nil},
	{`for s in nginx redis; do systemctl is-active -- "$s"; done`, "systemctl:is-active", "a loop over services", nil},
	{`[ "$(id -u)" = 0 ] || exit 1`, "id", "who one is", nil},
	{`n=$(ls | wc -l); [ "$n" -gt 3 ] && echo many`, "ls wc", "a count", []command.Shell{command.Bash, command.Dash, command.Ash}},
	{"if [ ! -d /srv/app ]; then mkdir -p /srv/app; fi", "mkdir", "a directory", nil},
	{`while read -r l; do echo "$l"; done < /tmp/x`, "</tmp/x", "lines of a file", nil},
	{"LANG=C; LC_ALL=C; uptime", "uptime", "a language", nil},
	{"COLUMNS=200; ps aux", "ps", "a width", nil},
}

// honestPrograms run others.
var honestPrograms = []honesty{
	{"sh -c 'uptime'", "uptime", "a shell", nil},
	{"/bin/sh -c 'uptime; df -h'", "uptime df", "a shell with its directory", nil},
	{"/bin/sh -c 'echo ~ && sleep 0'", "sleep", "as ansible asks for the home directory", nil},
	{"/bin/sh -c '( umask 77 && mkdir -p \"` echo ~/.ansible/tmp `\" && echo x )'", "mkdir", "as ansible makes its directory", nil},
	{"bash -lc 'cd /srv && ls'", "ls", "a login shell", nil},
	{"bash -ec \"uptime\"", "uptime", "an option more", nil},
	{"sh -c 'echo \"$1\"' _ \"$X\"", "", "parameters of a text", nil},
	{"bash /opt/deploy.sh prod", "bash /opt/deploy.sh", "a script needs both", nil},
	{"python3 /opt/x.py --all", "python3 /opt/x.py", "a script needs both", nil},
	{"python3 x.py", "python3 ./x.py", "a script of the directory", nil},
	{"python3 --version", "python3", "a version", nil},
	{"env LANG=C ls", "ls", "env", nil},
	{"env -i LANG=C ls", "ls", "env with nothing", nil},
	{"env", "env", "shows the environment, which needs an Allow", nil},
	{"nice -n 10 tar czf /backup/x.tgz /srv", "tar", "nice", nil},
	{"nohup ./worker > /dev/null 2>&1 &", "./worker >/dev/null", "nohup", nil},
	{"timeout 10 uptime", "uptime", "timeout", nil},
	{"timeout -k 5 10s uptime", "uptime", "timeout with an option", nil},
	{"timeout --kill-after=5 10s uptime", "uptime", "the long form", nil},
	{"stdbuf -oL tail -f x", "tail", "stdbuf", nil},
	{"sudo systemctl restart nginx", "sudo root@systemctl:restart", "sudo needs its own", nil},
	{"sudo -n -u postgres ls", "sudo postgres@ls", "an account", nil},
	{"sudo sh -c 'df > /x'", "sudo root@df >/x", "a shell of root", nil},
	{"su -s /bin/sh -c 'ls | cat' www-data", "su www-data@ls www-data@cat", "su with a shell", nil},
	{"su - app -c 'ls -l /srv'", "su app@ls", "su with a plain text", nil},
	{"watch -n 1 uptime", "uptime", "watch", nil},
	{"ls | xargs cat", "ls cat", "xargs", nil},
	{"ls | xargs -0 -n 1 -P 4 grep x", "ls grep", "xargs with options", nil},
	{"ls | xargs -I{} cp {} /tmp", "ls cp", "xargs that replaces", nil},
	{"ls | xargs sh -c 'cat \"$@\"' _", "ls cat", "xargs with a text", nil},
	{"find . -name '*.log' -mtime +7", "find", "find", nil},
	{"find /var/log -name \"$X\" -print0", "find", "find with a variable", nil},
	{"find . -type f -exec grep -l x {} +", "find grep", "find runs", nil},
	{"find /tmp -name x -delete", "find rm", "find deletes", nil},
	{"find ~ -maxdepth 1", "find", "the home directory", nil},
	{`find . \( -name a -o -name b \) ! -user root -exec ls -l {} \;`, "find ls", "brackets", nil},
	{"systemctl status nginx", "systemctl:status", "a verb", nil},
	{"systemctl --no-pager -l status nginx", "systemctl:status", "a verb behind options", nil},
	{"systemctl status nginx --lines=20", "systemctl:status", "options behind the verb", nil},
	{"systemctl is-active --quiet nginx", "systemctl:is-active", "another verb", nil},
	{"journalctl -u nginx --since today --no-pager", "journalctl", "a log", nil},
	{"git status", "git:status", "git", nil},
	{"git -C /srv/app pull --ff-only", "git:pull", "git in a directory", nil},
	{"git log --oneline -5", "git:log", "git with options", nil},
	{"git clone --depth 1 https://example.org/x.git", "git:clone", "git from an address", nil},
	{"tar xzf x.tgz -C /srv", "tar", "tar", nil},
	{"tar -czf - /srv", "tar", "tar to the channel", nil},
	{"tar cf x.tar ./*.log", "tar", "a pattern behind ./", nil},
	{"rsync -av --delete /a/ /b/", "rsync", "rsync of this machine", nil},
	{"sort -t: -k3 -n /etc/passwd", "sort", "sort", nil},
	{"sed -n '1,5p' x", "sed", "sed prints", nil},
	{"sed -e 's/a/b/g; s|x|y|' -e '/^#/d' x", "sed", "sed substitutes", nil},
	{"sed -i.bak 's/a/b/' x", "sed", "sed in place", nil},
	{"awk '{print $1}' x", "awk", "awk prints", nil},
	{"df -h | awk '$5 > 80 {print $6}'", "df awk", "awk compares", nil},
	{"awk -F: -v min=1000 'NR>1 && $3 >= min {print $1}' /etc/passwd", "awk", "awk with options", nil},
	{"docker ps -a", "docker:ps", "docker's list", nil},
	{"docker logs --tail 100 web", "docker:logs", "docker's logs", nil},
	{"kubectl get pods -n web", "kubectl:get", "kubectl's list", nil},
	{"apt-get install -y curl", "apt-get", "a package", nil},
	{"nginx -t", "nginx", "a check", nil},
	{"crontab -l", "crontab", "a list", nil},
	{"flock -n /run/lock/x ./job", "./job >>/run/lock/x", "flock", nil},
	{"busybox ls", "ls", "an applet", nil},
	{"ssh -p 2222 db1 uptime", "ssh uptime@db1", "another machine", nil},
	{"scp -t /tmp/x", "scp", "a transfer", nil},
	{"curl -fsS http://localhost/health", "curl", "curl", nil},
	{"du -sh /var/* | sort -h | tail -n 3", "du sort tail", "a report", nil},
	{"cat /proc/loadavg /proc/meminfo", "cat", "what monitors ask", nil},
	{"dpkg -l | grep ssh", "dpkg grep", "packages", nil},
	{"openssl x509 -in /etc/x.pem -noout -enddate", "openssl", "a certificate", nil},
	{"echo x | tee /etc/x", "tee", "tee", nil},
	{"dd if=/dev/zero of=x bs=1M count=1", "dd", "dd", nil},
	{"sleep 0", "sleep", "a keep-alive", nil},
	{"nproc; free -m; who", "nproc free who", "a survey", nil},
	{"/bin/sh -c '( umask 77 && mkdir -p \"` echo /home/app/.ansible/tmp `\"&& mkdir \"` echo /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3 `\" && echo x=\"` echo /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3 `\" ) && sleep 0'", "mkdir mkdir sleep", "ansible makes its directory", nil},
	{"/bin/sh -c 'chmod u+x /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3/ /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3/AnsiballZ_ping.py && sleep 0'", "chmod sleep", "ansible sends a module", nil},
	{"/bin/sh -c '/usr/bin/python3 /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3/AnsiballZ_ping.py && sleep 0'", "/usr/bin/python3 /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3/AnsiballZ_ping.py sleep", "ansible runs it", nil},
	{"/bin/sh -c 'rm -f -r /home/app/.ansible/tmp/ansible-tmp-1700000000.1-2-3/ > /dev/null 2>&1 && sleep 0'", "rm sleep >/dev/null", "ansible clears up", nil},
	{`/bin/sh -c 'sudo -H -S -n  -u root /bin/sh -c '"'"'echo BECOME-SUCCESS-x ; /usr/bin/python3 /tmp/x.py'"'"' && sleep 0'`, "sudo root@/usr/bin/python3 root@/tmp/x.py sleep", "ansible becomes root", nil},
	{`/bin/sh -c 'echo PLATFORM; uname; echo FOUND; command -v '"'"'python3.12'"'"'; command -v '"'"'/usr/bin/python3'"'"'; echo ENDFOUND && sleep 0'`, "uname sleep", "ansible looks for python", nil},
	{"kubectl -n web get pods -o wide", "kubectl:get", "an option before the verb", nil},
	{"kubectl --context prod rollout restart deployment/web -n web", "kubectl:rollout", "a rollout", nil},
	{"kubectl rollout status deployment/web --timeout=120s", "kubectl:rollout", "a rollout", nil},
	{"kubectl scale deploy/web --replicas=3", "kubectl:scale", "a scale", nil},
	{"docker compose ps", "docker:ps", "a plugin", nil},
	{"docker compose -f docker-compose.prod.yml pull", "docker:pull", "a plugin with a file", nil},
	{"docker-compose restart web", "docker-compose:restart", "compose of old", nil},
	{"docker image prune -f", "docker:prune", "an object and a verb", nil},
	{"docker system df", "docker:df", "an object and a verb", nil},
	{"docker container ls -a", "docker:ls", "an object and a verb", nil},
	{"docker ps --format '{{.Names}}'", "docker:ps", "a format", nil},
	{"systemctl --user restart app", "systemctl:restart", "a user's service", nil},
	{"systemctl list-units --type=service --state=running", "systemctl:list-units", "a list", nil},
	{"systemctl daemon-reload && systemctl restart app", "systemctl:daemon-reload systemctl:restart", "a unit has changed", nil},
	{"systemctl enable --now nginx", "systemctl:enable", "a unit by its name", nil},
	{"journalctl -u nginx -n 100 -f", "journalctl", "a log", nil},
	{"service nginx reload", "service", "a service of old", nil},
	{"nginx -t && systemctl reload nginx", "nginx systemctl:reload", "a check before", nil},
	{"ip -br addr", "ip", "addresses in brief", nil},
	{"ip -4 -o addr show", "ip", "addresses", nil},
	{"git -C /srv/app config --get remote.origin.url", "git:config", "a setting is asked for", nil},
	{"git --git-dir=/srv/x.git log -1 --format=%H", "git:log", "a bare repository", nil},
	{"git commit -am 'x y'", "git:commit", "a commit with its message", nil},
	{"git archive --format=tar --prefix=x/ HEAD", "git:archive", "an archive", nil},
	{"cd /srv/app && git fetch --all && git reset --hard origin/main", "git:fetch git:reset", "a deployment", nil},
	{"sudo -n -l", "sudo", "what one may", nil},
	{"sudo -i -u app ls -l", "sudo app@ls", "a login shell with a plain text", nil},
	{"sudo dpkg -i /srv/x_1.0.deb", "sudo root@dpkg root@/srv/x_1.0.deb", "a package needs both", nil},
	{"dpkg -l nginx; dpkg -S /bin/ls; dpkg -s nginx", "dpkg dpkg dpkg", "packages that are installed", nil},
	{"sudo apt-get install -y -qq --no-install-recommends nginx=1.2.3", "sudo root@apt-get", "a package by its name", nil},
	{"mysqldump --single-transaction app | gzip -c > /backup/app.sql.gz", "mysqldump gzip >/backup/app.sql.gz", "a dump", nil},
	{"sudo -u postgres pg_dump -Fc mydb > /backup/mydb.dump", "sudo postgres@pg_dump >/backup/mydb.dump", "a dump of another account", nil},
	{"pg_isready -h localhost; redis-cli ping; mysqladmin ping", "pg_isready redis-cli mysqladmin", "databases are asked", nil},
	{"sudo -u postgres pg_ctl -D /var/lib/pg reload", "sudo postgres@pg_ctl", "a server of a database", nil},
	{"sed -i '/^x/a y=1' x.conf", "sed", "a line is added", nil},
	{"sed -i 's/[[:space:]]*$//; s/^[^=]*=//' x", "sed", "brackets", nil},
	{"sed -i -e 's/^PORT=.*/PORT=8080/' .env", "sed", "a setting", nil},
	{"awk '/MemTotal/ {print $2}' /proc/meminfo", "awk", "a field", nil},
	{"ls | xargs -n1 -I{} cp {} /tmp", "ls cp", "one by one", nil},
	{"cat hosts | xargs -P4 -I{} ping -c1 {}", "cat ping", "side by side", nil},
	{"tar --exclude=.git -czf /tmp/x.tgz .", "tar", "an archive", nil},
	{"php -v; java -version; node -v", "php java node", "versions", nil},
	{"install -m 0755 -o root x /usr/local/bin/x", "install", "a file with its owner", nil},
	{"openssl s_client -connect localhost:443 </dev/null", "openssl </dev/null", "a certificate", nil},
	{"dmesg -T | tail -n 20", "dmesg tail", "the kernel's log", nil},
	{"rsync --server -logDtpre.iLsfxCIvu --link-dest ../prev . /backup/new", "rsync", "a backup, which needs exec", nil},
	{"rsync -a --exclude=.git /src/ /dst/", "rsync", "a copy", nil},
	{"rpm -qa | grep ssh", "rpm grep", "packages", nil},
	{"rpm -q --qf '%{VERSION}' nginx", "rpm", "a package's version", nil},
	{"sudo dnf install -y nginx", "sudo root@dnf", "a package by its name", nil},
	{"docker start web", "docker:start", "a container", nil},
	{"apt-cache policy nginx", "apt-cache", "a package's versions", nil},
	{"sed -n '/x/{p;q}' y", "sed", "the first line that matches", nil},
	{"sed '/a/,/b/{/c/d;s/x/y/}' z", "sed", "some lines", nil},
	{"awk '{ if ($1 > 3) print }' x", "awk", "awk compares within brackets", nil},
	{"timeout .5 uptime", "uptime", "a part of a second", nil},
}
