// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// node-postgres at its ordinary work. Usage: node client.mjs <case>, with DATABASE_URL and
// PGPASSWORD set. It prints one line of JSON: what the case returned, or the error's fields.
import pg from "pg";
import Cursor from "pg-cursor";

const config = { connectionString: process.env.DATABASE_URL, password: process.env.PGPASSWORD };

async function connected(work) {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

// fields of an error that a program looks at.
function errorFields(error) {
  const { severity, code, message, position, detail, hint, constraint } = error;
  return { severity, code, message, position, detail, hint, constraint };
}

async function failure(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return errorFields(error);
  }
}

const cases = {
  simple: () =>
    connected(async (c) => {
      const several = await c.query("SELECT 1 AS one; SELECT count(*)::int AS n FROM lab.items");
      return several.map((r) => r.rows);
    }),

  parameters: () =>
    connected(async (c) => {
      const r = await c.query("SELECT id, name, price, added FROM lab.items WHERE id = ANY($1::int[]) AND name LIKE $2 ORDER BY id", [
        [3, 1, 2],
        "item %",
      ]);
      return { rows: r.rows, count: r.rowCount, types: r.fields.map((f) => f.dataTypeID) };
    }),

  named: () =>
    connected(async (c) => {
      const sums = [];
      for (let i = 1; i <= 10; i++) {
        const r = await c.query({ name: "price-of", text: "SELECT price::text FROM lab.items WHERE id = $1", values: [i] });
        sums.push(r.rows[0].price);
      }
      return sums;
    }),

  cursor: () =>
    connected(async (c) => {
      const cursor = c.query(new Cursor("SELECT id FROM lab.items WHERE id > $1 ORDER BY id", [5]));
      const batches = [];
      for (;;) {
        const rows = await cursor.read(20);
        if (rows.length === 0) break;
        batches.push(rows.length);
      }
      await cursor.close();
      // One that is closed half way leaves the connection fit for use.
      const other = c.query(new Cursor("SELECT id FROM lab.items ORDER BY id"));
      await other.read(2);
      await other.close();
      return { batches, after: (await c.query("SELECT 7 AS seven")).rows };
    }),

  pool: async () => {
    const pool = new pg.Pool({ ...config, max: 4 });
    try {
      const all = await Promise.all(
        Array.from({ length: 40 }, (_, i) => pool.query("SELECT $1::int * 2 AS double", [i]).then((r) => r.rows[0].double)),
      );
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        await client.query("INSERT INTO lab.items (id, name, price) VALUES ($1, $2, $3)", [9001, "from the pool", "1.50"]);
        await client.query("ROLLBACK");
      } finally {
        client.release();
      }
      const left = await pool.query("SELECT count(*)::int AS n FROM lab.items WHERE id = 9001");
      return { sum: all.reduce((a, b) => a + b, 0), left: left.rows[0].n, connections: pool.totalCount };
    } finally {
      await pool.end();
    }
  },

  masks: () =>
    connected(async (c) => {
      const text = await c.query("SELECT * FROM lab.people WHERE id = 3");
      const prepared = await c.query({ name: "person", text: "SELECT * FROM lab.people WHERE id = $1", values: [3] });
      const binary = await c.query({ text: "SELECT * FROM lab.people WHERE id = $1", values: [3], binary: true });
      const cursor = c.query(new Cursor("SELECT email, card, phone FROM lab.people ORDER BY id"));
      const first = await cursor.read(1);
      await cursor.close();
      return { text: text.rows, prepared: prepared.rows, binary: binary.rows, cursor: first };
    }),

  transaction: () =>
    connected(async (c) => {
      await c.query("BEGIN");
      await c.query("INSERT INTO lab.items (id, name, price) VALUES ($1, $2, $3) RETURNING id", [9002, "kept", "2.00"]);
      await c.query("SAVEPOINT s");
      const duplicate = await failure(c.query("INSERT INTO lab.items (id, name, price) VALUES ($1, $2, $3)", [9002, "again", "2.00"]));
      const aborted = await failure(c.query("SELECT 1"));
      await c.query("ROLLBACK TO SAVEPOINT s");
      const deleted = await c.query("DELETE FROM lab.items WHERE id = $1", [9002]);
      await c.query("COMMIT");
      return { duplicate, aborted, deleted: deleted.rowCount };
    }),

  errors: () =>
    connected(async (c) => ({
      column: await failure(c.query("SELECT nothing FROM lab.items")),
      division: await failure(c.query("SELECT 1 / $1::int", [0])),
      parameter: await failure(c.query("SELECT $1::int", ["no number"])),
      check: await failure(c.query("INSERT INTO lab.items (id, name, price) VALUES ($1, 'x', -1)", [9003])),
      after: (await c.query("SELECT $1::text AS alive", ["yes"])).rows,
    })),

  refusals: () =>
    connected(async (c) => ({
      syntax: await failure(c.query("SELECT FROM WHERE")),
      denied: await failure(c.query("SELECT * FROM payroll WHERE salary > $1", [1])),
      deniedSimple: await failure(c.query("TRUNCATE lab.people")),
      after: (await c.query("SELECT $1::text AS alive", ["yes"])).rows,
    })),

  notify: () =>
    connected(async (c) => {
      const heard = new Promise((resolve) => c.once("notification", (n) => resolve({ channel: n.channel, payload: n.payload })));
      await c.query("LISTEN lab_node");
      await c.query("NOTIFY lab_node, 'hello'");
      return heard;
    }),

  // Queries that are sent before the answers of earlier ones have come.
  queued: () =>
    connected(async (c) => {
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, i) => (i % 10 === 7 ? failure(c.query("SELECT 1 / $1::int", [0])) : c.query("SELECT $1::int AS i", [i]).then((r) => r.rows[0].i))),
      );
      return answers.map((a) => (typeof a === "number" ? a : a.code));
    }),
};

const work = cases[process.argv[2]];
if (!work) {
  throw new Error(`no case ${process.argv[2]}; there are: ${Object.keys(cases).join(", ")}`);
}
try {
  process.stdout.write(JSON.stringify({ result: await work() }) + "\n");
} catch (error) {
  process.stdout.write(JSON.stringify({ error: errorFields(error) }) + "\n");
  process.exitCode = 1;
}
