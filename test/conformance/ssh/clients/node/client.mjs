// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// ssh2 at its ordinary work. It prints all that it sees, one line of JSON for each thing.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, connect } from "node:net";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import ssh2 from "ssh2";

const { SSH_HOST, SSH_PORT, SSH_USER, SSH_PASSWORD, SSH_KEY, SSH_HOST_KEY, FOLDER } = process.env;
const timeout = 120_000;

function show(what, ...values) {
  process.stdout.write(JSON.stringify([what, ...values]) + "\n");
}

const digest = (data) => [data.length, createHash("sha256").update(data).digest("hex")];

// collect reads to the end, and leaves the stream open for what comes after it.
async function collect(stream) {
  const chunks = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

async function connected() {
  const client = new ssh2.Client();
  const trusted = SSH_HOST_KEY.split(" ")[1];
  const ready = once(client, "ready");
  client.connect({
    host: SSH_HOST,
    port: Number(SSH_PORT),
    username: SSH_USER,
    password: SSH_PASSWORD || undefined,
    privateKey: SSH_KEY ? readFileSync(SSH_KEY) : undefined,
    hostVerifier: (key) => key.toString("base64") === trusted,
    readyTimeout: timeout,
    // OpenSSH's own requests are made of whom its version gives no number, too.
    strictVendor: false,
    keepaliveInterval: 500,
    keepaliveCountMax: 100,
  });
  await ready;
  return client;
}

// call turns a method that takes a callback last into a promise.
const call = (object, name, ...args) => promisify(object[name].bind(object))(...args);

async function fails(what, promise) {
  try {
    show(what, await promise);
  } catch (error) {
    show(what, error.code ?? null, error.reason ?? null);
  }
}

// run listens before the first answer is read: a program may have ended by then.
function run(client, command, { input, ...options } = {}) {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, stream) => {
      if (error) return reject(error);
      let status;
      const read = Promise.all([collect(stream), collect(stream.stderr)]);
      stream.on("exit", (...args) => (status = args.filter((a) => a !== undefined && a !== null)));
      stream.on("close", () => read.then(([out, err]) => resolve([out, err, status])));
      stream.end(input);
    });
  });
}

async function commands(client) {
  const text = (r) => [r[0].toString(), r[1].toString(), r[2]];
  show("exec", text(await run(client, "echo out; echo err >&2; exit 7")));
  show("stdin", text(await run(client, "sort", { input: "b\na\nc\n" })));
  const big = randomBytes(1_500_001);
  const back = await run(client, "tee /dev/stderr", { input: big });
  show("both streams", back[0].equals(big), back[1].equals(big), back[2]);
  show("zeroes", digest((await run(client, "head -c 5000000 /dev/zero"))[0]));
  show("environment", text(await run(client, "echo $LC_NAME", { env: { LC_NAME: "de_DE.UTF-8" } })));
  show("signal", text(await run(client, "kill -TERM $$")));
  show("terminal", text(await run(client, "stty size; test -t 0 && echo $TERM", { pty: { rows: 30, cols: 100, term: "vt220" } })));
}

async function shell(client) {
  const stream = await call(client, "shell", { rows: 30, cols: 100, term: "xterm" });
  let seen = "";
  let wake = () => {};
  stream.on("data", (more) => {
    seen += more.toString();
    wake();
  });
  const until = async (text) => {
    for (;;) {
      const at = seen.indexOf(text + "\r\n");
      if (at >= 0) {
        const before = seen.slice(0, at + text.length);
        seen = seen.slice(at + text.length + 2);
        return before;
      }
      await new Promise((resolve) => (wake = resolve));
    }
  };
  stream.write("PS1=; PS2=; stty -echo; echo re''ady\n");
  await until("ready");
  stream.write("stty size; echo $TERM\n");
  show("terminal", await until("xterm"));
  stream.setWindow(50, 132, 0, 0);
  stream.write("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.1; done; echo resized\n");
  show("resize", await until("resized"));
  const closed = once(stream, "close");
  stream.end("exit 4\n");
  show("shell", (await closed)[0]);
}

async function files(client) {
  const sftp = await call(client, "sftp");
  const at = (name) => FOLDER + "/files/" + name;
  const mode = (a) => [a.size, a.uid, a.gid, a.mode.toString(8)];
  mkdirSync(FOLDER + "/files", { mode: 0o755 });
  const content = randomBytes(5_000_003);
  writeFileSync(FOLDER + "/local", content);
  await call(sftp, "fastPut", FOLDER + "/local", at("put"), { mode: 0o640, concurrency: 32 });
  show("fastPut", readFileSync(at("put")).equals(content), mode(await call(sftp, "stat", at("put"))));
  await call(sftp, "fastGet", at("put"), FOLDER + "/got", { concurrency: 64, chunkSize: 20_000 });
  show("fastGet", readFileSync(FOLDER + "/got").equals(content));
  await call(sftp, "writeFile", at("text"), "one\n");
  await call(sftp, "appendFile", at("text"), "two\n");
  show("readFile", (await call(sftp, "readFile", at("text"))).toString());
  show("streams", digest(await collect(sftp.createReadStream(at("put"), { start: 10, end: 99_999 })))[0]);
  await call(sftp, "rename", at("text"), at("renamed"));
  await call(sftp, "ext_openssh_rename", at("put"), at("renamed"));
  // OpenSSH's server takes the link for the target and the other way round. ssh2 knows servers
  // that do by their version.
  await call(sftp, "symlink", at("renamed"), at("link"));
  await call(sftp, "ext_openssh_hardlink", at("renamed"), at("hard"));
  show("links", await call(sftp, "readlink", at("link")), await call(sftp, "realpath", at("link")), mode(await call(sftp, "lstat", at("link")))[3]);
  await call(sftp, "mkdir", at("folder"), { mode: 0o700 });
  await call(sftp, "chmod", at("renamed"), 0o600);
  await call(sftp, "utimes", at("renamed"), 1_000_000_000, 1_100_000_000);
  const { atime, mtime } = await call(sftp, "stat", at("renamed"));
  show("times", atime, mtime);
  const handle = await call(sftp, "open", at("renamed"), "r+");
  await call(sftp, "fsetstat", handle, { size: 100 });
  await call(sftp, "ext_openssh_fsync", handle);
  show("fstat", mode(await call(sftp, "fstat", handle)));
  await call(sftp, "close", handle);
  const listed = await call(sftp, "readdir", at(""));
  show("readdir", listed.map((e) => [e.filename, e.longname.split(" ")[0], e.attrs.mode.toString(8)]).sort());
  await fails("no such file", call(sftp, "stat", at("none")));
  await fails("not empty", call(sftp, "rmdir", FOLDER + "/files"));
  await fails("over another", call(sftp, "rename", at("link"), at("hard")));
  await fails("exclusive", call(sftp, "open", at("hard"), "wx"));
  for (const name of ["link", "hard", "renamed"]) await call(sftp, "unlink", at(name));
  await call(sftp, "rmdir", at("folder"));
  show("left", await call(sftp, "readdir", at("")));
  sftp.end();
}

// echo sends back what comes; it listens where it is told.
async function echo(where) {
  const server = createServer((socket) => socket.pipe(socket));
  server.listen(where);
  await once(server, "listening");
  return server;
}

async function forwards(client) {
  const data = randomBytes(900_001);
  const there = async (stream) => {
    const back = collect(stream);
    stream.end(data);
    return (await back).equals(data);
  };
  const server = await echo({ host: "127.0.0.1", port: 0 });
  const { port } = server.address();
  show("forwardOut", await there(await call(client, "forwardOut", "127.0.0.1", 1, "127.0.0.1", port)));
  server.close();
  await once(server, "close");
  await fails("refused", call(client, "forwardOut", "127.0.0.1", 1, "127.0.0.1", port));
  const path = FOLDER + "/socket";
  const local = await echo({ path });
  show("a socket", await there(await call(client, "openssh_forwardOutStreamLocal", path)));
  local.close();

  client.on("tcp connection", (details, accept) => {
    const stream = accept();
    show("a connection comes", details.destIP, details.srcIP);
    stream.pipe(stream);
  });
  const listener = await call(client, "forwardIn", "127.0.0.1", 0);
  const outer = connect({ port: listener, host: "127.0.0.1", allowHalfOpen: true });
  show("forwardIn", await there(outer));
  await call(client, "unforwardIn", "127.0.0.1", listener);
  const [error] = await once(connect(listener, "127.0.0.1"), "error");
  show("unforwardIn", error.code);
}

async function connection(client) {
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => run(client, `cat; exit ${i}`, { input: `line ${i}` })));
  show("many", many.map(([out, , status]) => [out.toString(), status]));
  await call(client, "openssh_noMoreSessions");
  show("no more sessions");
}

const client = await connected();
for (const part of [commands, shell, files, forwards, connection]) await part(client);
const closed = once(client, "close");
client.end();
await closed;
process.stdout.write("end\n");
