# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
"""paramiko at its ordinary work. It prints all that it sees."""

import base64
import errno
import hashlib
import io
import os
import socket
import stat
import threading

import paramiko

TIMEOUT = 120
FOLDER = os.environ["FOLDER"] + "/files"


def show(what, *values):
    print(what, *[repr(v) for v in values], flush=True)


def digest(data):
    return len(data), hashlib.sha256(data).hexdigest()


def fails(what, call):
    try:
        show(what, call())
    except OSError as e:
        show(what, type(e).__name__, e.errno, errno.errorcode.get(e.errno), str(e))
    except paramiko.ChannelException as e:
        show(what, type(e).__name__, e.code)


def until(channel, text):
    """Reads a terminal until it shows the text at the end of a line."""
    seen = ""
    while not seen.replace("\r", "").endswith(text + "\n"):
        more = channel.recv(4096)
        if not more:
            raise EOFError(seen)
        seen += more.decode()
    return seen


def echo(listener):
    """Sends back what one connection sends, until it ends."""
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def through(channel, data):
    """Sends data through something that echoes it, and returns what comes back."""
    got = bytearray()

    def read():
        while more := channel.recv(65536):
            got.extend(more)

    reader = threading.Thread(target=read)
    reader.start()
    channel.sendall(data)
    channel.shutdown(socket.SHUT_WR)
    reader.join()
    return bytes(got)


def connected():
    kind, blob = os.environ["SSH_HOST_KEY"].split()[:2]
    host, port = os.environ["SSH_HOST"], int(os.environ["SSH_PORT"])
    client = paramiko.SSHClient()
    client.get_host_keys().add("[%s]:%d" % (host, port), kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
    # A certificate is found beside its key.
    client.connect(
        host, port, os.environ["SSH_USER"], password=os.environ["SSH_PASSWORD"] or None, key_filename=os.environ["SSH_KEY"] or None,
        allow_agent=False, look_for_keys=False, timeout=TIMEOUT, banner_timeout=TIMEOUT, auth_timeout=TIMEOUT)
    return client


def run(client, command, data=b"", **options):
    stdin, stdout, stderr = client.exec_command(command, timeout=TIMEOUT, **options)
    stdin.write(data)
    stdin.channel.shutdown_write()
    out, err = stdout.read(), stderr.read()
    return out, err, stdout.channel.recv_exit_status()


def commands(client):
    show("exec", *run(client, "echo out; echo err >&2; exit 7"))
    show("stdin", *run(client, "sort", b"b\na\nc\n"))
    show("both streams", *[digest(d) if isinstance(d, bytes) else d for d in run(client, "head -c 2000000 /dev/zero; head -c 1500000 /dev/zero | tr '\\0' x >&2")])
    big = bytes(range(256)) * 8000
    show("binary", *[digest(d) if isinstance(d, bytes) else d for d in run(client, "cat", big)])
    show("environment", *run(client, "echo $LC_NAME", environment={"LC_NAME": "de_DE.UTF-8"}))
    show("signal", *run(client, "kill -KILL $$"))
    show("not found", run(client, "no-such-program-anywhere")[2])
    show("terminal", *run(client, "test -t 0 && test -t 2 && echo terminal", get_pty=True))


def shell(client):
    channel = client.invoke_shell(term="xterm-256color", width=100, height=30)
    channel.settimeout(TIMEOUT)
    channel.sendall(b"PS1=; PS2=; stty -echo; echo re''ady\n")
    until(channel, "ready")
    channel.sendall(b"stty size; echo $TERM\n")
    show("terminal", until(channel, "xterm-256color"))
    channel.resize_pty(132, 50)
    channel.sendall(b"until [ \"$(stty size)\" = '50 132' ]; do sleep 0.1; done; echo resized\n")
    show("resize", until(channel, "resized"))
    channel.sendall(b"echo sle''eps; sleep 600\n")
    until(channel, "sleeps")
    channel.sendall(b"\x03")
    channel.sendall(b"echo af''ter\n")
    show("interrupt", until(channel, "after")[-7:])
    channel.sendall("echo ü\n".encode())
    show("unicode", until(channel, "ü"))
    channel.sendall(b"exit 3\n")
    while channel.recv(4096):
        pass
    show("shell", channel.recv_exit_status())


def attributes(a):
    return a.st_size, a.st_uid, a.st_gid, stat.filemode(a.st_mode)


def files(client):
    sftp = client.open_sftp()
    sftp.get_channel().settimeout(TIMEOUT)
    os.umask(0o022)
    sftp.mkdir(FOLDER, 0o750)
    content = os.urandom(32) * 90_001
    put = sftp.putfo(io.BytesIO(content), FOLDER + "/put")
    show("put", attributes(put)[0])
    with open(FOLDER + "/put", "rb") as f:
        show("as it arrived", f.read() == content)
    got = io.BytesIO()
    show("get", sftp.getfo(FOLDER + "/put", got), got.getvalue() == content)
    sftp.chmod(FOLDER + "/put", 0o640)
    sftp.utime(FOLDER + "/put", (1_000_000_000, 1_100_000_000))
    seen = sftp.stat(FOLDER + "/put")
    show("stat", attributes(seen), seen.st_atime, seen.st_mtime)
    with sftp.open(FOLDER + "/text", "w") as f:
        f.write("one\ntwo\n")
    with sftp.open(FOLDER + "/text", "a") as f:
        f.write("three\n")
    with sftp.open(FOLDER + "/text", "r+") as f:
        f.seek(4)
        f.write("TWO")
        f.seek(0)
        show("lines", f.readlines(), attributes(f.stat()))
    sftp.truncate(FOLDER + "/text", 7)
    sftp.symlink(FOLDER + "/text", FOLDER + "/link")
    show("link", sftp.readlink(FOLDER + "/link"), attributes(sftp.lstat(FOLDER + "/link"))[3], sftp.normalize(FOLDER + "/link"))
    sftp.rename(FOLDER + "/put", FOLDER + "/renamed")
    sftp.posix_rename(FOLDER + "/renamed", FOLDER + "/text")
    sftp.mkdir(FOLDER + "/ünder")
    sftp.chdir(FOLDER)
    show("here", sftp.getcwd(), sftp.normalize("ünder"))
    with sftp.open("ünder/x", "wx") as f:
        f.write("x")
    show("list", sorted(sftp.listdir(".")), sorted((a.filename, attributes(a)[3]) for a in sftp.listdir_attr(".")))
    show("iter", sorted(a.filename for a in sftp.listdir_iter(FOLDER)))
    with sftp.open("text", "rb") as f:
        f.prefetch()
        show("prefetch", f.read() == content)
        show("readv", [bytes(b) == content[o:o + 100] for o, b in zip((0, 5000), f.readv([(0, 100), (5000, 100)]))])
    fails("no such file", lambda: sftp.stat("none"))
    fails("exists", lambda: sftp.mkdir("ünder"))
    fails("not empty", lambda: sftp.rmdir("ünder"))
    fails("exclusive", lambda: sftp.open("ünder/x", "wx"))
    fails("no folder", lambda: sftp.open("none/x", "w"))
    fails("over another", lambda: sftp.rename("link", "text"))
    sftp.remove("ünder/x")
    sftp.rmdir("ünder")
    sftp.remove("link")
    sftp.unlink("text")
    show("left", sftp.listdir("."))
    sftp.close()


def forwards(client):
    transport = client.get_transport()
    data = os.urandom(700_001)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=echo, args=[listener])
        server.start()
        channel = transport.open_channel("direct-tcpip", ("127.0.0.1", listener.getsockname()[1]), ("127.0.0.1", 1))
        channel.settimeout(TIMEOUT)
        show("direct-tcpip", through(channel, data) == data)
        channel.close()
        server.join()
        free = listener.getsockname()[1]
    fails("refused", lambda: transport.open_channel("direct-tcpip", ("127.0.0.1", free), ("127.0.0.1", 1)))
    port = transport.request_port_forward("127.0.0.1", 0)
    outer = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    inner = transport.accept(TIMEOUT)
    inner.settimeout(TIMEOUT)
    outer.sendall(b"in")
    show("forwarded-tcpip in", inner.recv(2))
    inner.sendall(b"out")
    inner.shutdown(socket.SHUT_WR)
    show("forwarded-tcpip out", outer.makefile("rb").read())
    outer.close()
    show("ends", inner.recv(1))
    inner.close()
    transport.cancel_port_forward("127.0.0.1", port)
    fails("cancelled", lambda: socket.create_connection(("127.0.0.1", port), TIMEOUT))


def connection(client):
    transport = client.get_transport()
    transport.set_keepalive(1)
    channels = []
    for i in range(40):
        channel = transport.open_session(timeout=TIMEOUT)
        channel.settimeout(TIMEOUT)
        channel.exec_command("read line; echo $line; exit %d" % i)
        channels.append(channel)
    transport.renegotiate_keys()
    for i, channel in enumerate(channels):
        channel.sendall(b"line %d\n" % i)
    show("channels", [(channel.makefile("rb").read(), channel.recv_exit_status()) for channel in channels])
    # The answer to a keep-alive is a refusal, which is a sign of life as good as any.
    show("keep-alive", transport.global_request("keepalive@lag.net", wait=True))
    transport.send_ignore()
    show("still here", *run(client, "echo here"), transport.is_active())


with connected() as client:
    for part in (commands, shell, files, forwards, connection):
        part(client)
print("end")
