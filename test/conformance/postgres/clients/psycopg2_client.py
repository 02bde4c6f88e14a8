# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
"""psycopg2 at its ordinary work, and SQLAlchemy's look at a schema. It prints all that it sees."""

import io

import psycopg2
import psycopg2.extensions
import psycopg2.extras


def show(what, *values):
    print(what, *[repr(v) for v in values])


def fails(what, call):
    try:
        show(what, call())
    except psycopg2.Error as e:
        d = e.diag
        show(what, type(e).__name__, d.severity, d.sqlstate, d.message_primary, d.message_detail, d.message_hint,
             d.statement_position, d.table_name, d.column_name, d.constraint_name)


conn = psycopg2.connect("")
cur = conn.cursor()
show("server", conn.server_version, conn.encoding, conn.get_transaction_status())
cur.execute("SELECT pg_backend_pid()")
show("pid", conn.get_backend_pid() == cur.fetchone()[0])
cur.execute("DROP TABLE IF EXISTS psy2; CREATE TABLE psy2 (id serial PRIMARY KEY, name text UNIQUE, b bytea, a text[]); INSERT INTO psy2 (name) VALUES ('first') RETURNING id")
show("migration", cur.fetchall(), cur.statusmessage)
psycopg2.extras.execute_values(cur, "INSERT INTO psy2 (name, b, a) VALUES %s", [("n'%d\\" % i, bytes([i % 256]) * 50, ["x", None]) for i in range(3000)], page_size=3000)
show("values", cur.rowcount)
cur.execute("INSERT INTO psy2 (b) VALUES (%s)", (psycopg2.Binary(b"\x00\xff" * 1_500_000),))
cur.execute("SELECT length(b) FROM psy2 WHERE length(b) > 1000")
show("large value", cur.fetchall())
conn.commit()
cur.execute("SELECT * FROM psy2 WHERE id < 5 ORDER BY id")
show("rows", [(r[0], r[1], bytes(r[2]) if r[2] else None, r[3]) for r in cur.fetchall()], cur.description[0].name)
named = conn.cursor("named")
named.itersize = 100
named.execute("SELECT id FROM psy2 ORDER BY id LIMIT 350")
show("named", sum(r[0] for r in named))
named.close()
held = conn.cursor("held", withhold=True, scrollable=True)
held.execute("SELECT id FROM psy2 ORDER BY id LIMIT 10")
conn.commit()
held.scroll(3)
show("held", held.fetchmany(3))
held.close()
for text in ("SELECT * FRO psy2", "SELECT * FROM psy2_none", "INSERT INTO psy2 (name) VALUES ('first')", "SELECT nope FROM psy2", "SELECT 1/0"):
    fails(text, lambda: cur.execute(text))
    show("status", conn.get_transaction_status())
    conn.rollback()
fails("empty", lambda: cur.execute(""))
conn.rollback()
data = io.StringIO()
cur.copy_expert("COPY (SELECT id, name FROM psy2 WHERE id < 4 ORDER BY id) TO STDOUT CSV HEADER", data)
show("copy out", data.getvalue())
cur.copy_from(io.StringIO("9001\tcopied\n9002\t\\N\n"), "psy2", columns=("id", "name"))
fails("copy error", lambda: cur.copy_from(io.StringIO("x\ty\n"), "psy2", columns=("id", "name")))
conn.rollback()
conn.set_session(isolation_level="SERIALIZABLE", readonly=True, autocommit=False)
fails("read only", lambda: cur.execute("DELETE FROM psy2"))
conn.rollback()
conn.set_session(readonly=False, autocommit=True)
cur.execute("LISTEN psy2")
cur.execute("NOTIFY psy2, 'hello'")
conn.poll()
show("notify", [(n.channel, n.payload, n.pid == conn.get_backend_pid()) for n in conn.notifies])
cur.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; END $$")
show("notices", [n for n in conn.notices if "a notice" in n])
cur.execute("SELECT id, name FROM psy2 WHERE name LIKE %(p)s ORDER BY id LIMIT 2", {"p": "n%"})
show("percent", cur.fetchall())
cur.callproc("lower", ["ABC"])
show("callproc", cur.fetchall())
conn.close()

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine, inspect, select  # noqa: E402

engine = create_engine("postgresql+psycopg2://")
meta = MetaData()
parent = Table("alchemy_parent", meta, Column("id", Integer, primary_key=True), Column("name", String(40), unique=True, comment="a name"))
child = Table("alchemy_child", meta, Column("id", Integer, primary_key=True), Column("parent", ForeignKey("alchemy_parent.id"), index=True))
meta.drop_all(engine)
meta.create_all(engine)
with engine.begin() as c:
    c.execute(parent.insert(), [{"id": i, "name": "p%d" % i} for i in range(5)])
    c.execute(child.insert(), [{"id": i, "parent": i % 5} for i in range(10)])
    show("join", c.execute(select(parent.c.name, child.c.id).join(child).order_by(child.c.id)).fetchall())
look = inspect(engine)
for table in ("alchemy_parent", "alchemy_child"):
    show("columns", [(c["name"], str(c["type"]), c["nullable"], c["default"], c["comment"]) for c in look.get_columns(table)])
    show("keys", look.get_pk_constraint(table), look.get_foreign_keys(table), look.get_unique_constraints(table), look.get_indexes(table), look.get_check_constraints(table))
meta.drop_all(engine)
engine.dispose()
print("end")
