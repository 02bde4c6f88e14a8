# Copyright The Doorward Authors.
# SPDX-License-Identifier: Apache-2.0
"""psycopg 3 at its ordinary work. It prints all that it sees."""

import datetime
import decimal
import json

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


def show(what, *values):
    print(what, *[repr(v) for v in values])


def fails(what, call):
    try:
        show(what, call())
    except psycopg.Error as e:
        d = e.diag
        show(what, type(e).__name__, d.severity, d.sqlstate, d.message_primary, d.message_detail, d.message_hint,
             d.statement_position, d.schema_name, d.table_name, d.column_name, d.constraint_name, d.context)


with psycopg.connect(autocommit=True) as conn:
    notices = []
    conn.add_notice_handler(lambda d: notices.append((d.severity, d.sqlstate, d.message_primary, d.message_detail)))
    show("encoding", conn.info.encoding, conn.info.server_version, conn.info.transaction_status, conn.info.dbname)
    show("pid", conn.info.backend_pid == conn.execute("SELECT pg_backend_pid()").fetchone()[0])
    conn.execute("DROP TABLE IF EXISTS psy")
    conn.execute("CREATE TABLE psy (id int PRIMARY KEY, name text, n numeric, at timestamptz, j jsonb, b bytea, a int[], CHECK (id >= 0))")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO psy VALUES (%s, %s, %s, %s, %s, %s, %s)", [
            (i, "name %d é" % i, decimal.Decimal(i) / 7, datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), Jsonb({"i": i}), bytes([i, 0, 255]), [i, None])
            for i in range(50)])
        show("executemany", cur.rowcount)
    for binary in (False, True):
        for row in conn.execute("SELECT * FROM psy WHERE id < 4 ORDER BY id", binary=binary):
            show("row", binary, row)
    with conn.cursor(row_factory=dict_row) as cur:
        show("dict", cur.execute("SELECT id, name FROM psy WHERE id = %(id)s", {"id": 3}).fetchall())
        show("description", [(c.name, c.type_code, c.internal_size, c.precision) for c in cur.description])
    for n in range(8):
        show("prepared", conn.execute("SELECT count(*) FROM psy WHERE id > %s", (n,)).fetchone())
    show("prepared by the server", conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone())
    with conn.transaction():
        with conn.cursor("named") as cur:
            cur.itersize = 7
            cur.execute("SELECT id FROM psy ORDER BY id")
            show("server cursor", [r[0] for r in cur])
        with conn.cursor("scrolling", scrollable=True) as cur:
            cur.execute("SELECT id FROM psy ORDER BY id")
            cur.scroll(10)
            show("scroll", cur.fetchmany(2))
    with conn.cursor() as cur:
        with cur.copy("COPY psy (id, name) FROM STDIN") as copy:
            for i in range(100, 200):
                copy.write_row((i, "copied\t%d" % i if i % 3 else None))
        with cur.copy("COPY psy (id, name) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for i in range(200, 220):
                copy.write_row((i, "binary"))
        with cur.copy("COPY (SELECT id, name FROM psy WHERE id > 195 ORDER BY id) TO STDOUT") as copy:
            show("copy out", list(copy.rows()))
        with cur.copy("COPY (SELECT id FROM psy WHERE id < 3 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            show("copy out binary", b"".join(bytes(part) for part in copy))
    fails("copy error", lambda: conn.cursor().copy("COPY psy (id, name) FROM STDIN").__enter__().write_row(("x", "y")))
    conn.close()

with psycopg.connect(autocommit=True) as conn:
    with conn.pipeline() as pipeline:
        curs = [conn.execute("SELECT %s::int * 2", (i,)) for i in range(30)]
        pipeline.sync()
        show("pipeline", [c.fetchone()[0] for c in curs])
    try:
        with conn.pipeline():
            conn.execute("INSERT INTO psy (id) VALUES (900)")
            conn.execute("SELECT 1/0")
            conn.execute("INSERT INTO psy (id) VALUES (901)")
    except psycopg.Error as e:
        show("pipeline error", type(e).__name__, e.diag.sqlstate)
    show("after it", conn.execute("SELECT count(*) FROM psy WHERE id >= 900").fetchone())
    for text in ("SELECT * FRO psy", "SELECT * FROM psy_none", "SELECT nope FROM psy", "SELECT 1/0", "INSERT INTO psy (id) VALUES (1)",
                 "INSERT INTO psy (id) VALUES (-1)", "", "-- nothing", "SELECT 1; SELECT 2", "LISTEN psy; NOTIFY psy, 'p'"):
        fails(text, lambda: conn.execute(text).statusmessage)
        fails(text + " prepared", lambda: conn.execute(text, prepare=True).statusmessage)
    fails("two with values", lambda: conn.execute("SELECT %s; SELECT 2", (1,)))
    fails("NUL", lambda: conn.execute("SELECT %s::text", ("a\0b",)))
    with conn.cursor() as cur:
        cur.execute("SELECT 1; SELECT 2, 3; CREATE TEMP TABLE z (a int); INSERT INTO z VALUES (5); SELECT * FROM z")
        while True:
            show("result", cur.statusmessage, cur.fetchall() if cur.description else None)
            if not cur.nextset():
                break
    heard = []
    conn.add_notify_handler(lambda n: heard.append((n.channel, n.payload, n.pid == conn.info.backend_pid)))
    conn.execute("NOTIFY psy, 'mine'")
    show("notify", conn.execute("SELECT 1").fetchone(), heard)
    with conn.transaction() as outer:
        conn.execute("UPDATE psy SET name = 'changed' WHERE id = 1")
        try:
            with conn.transaction():
                conn.execute("SELECT 1/0")
        except psycopg.Error as e:
            show("savepoint", e.diag.sqlstate, conn.info.transaction_status)
        show("inside", conn.execute("SELECT name FROM psy WHERE id = 1").fetchone())
        raise psycopg.Rollback(outer)
    show("rolled back", conn.execute("SELECT name FROM psy WHERE id = 1").fetchone())
    conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    conn.read_only = True
    with conn.transaction():
        fails("read only", lambda: conn.execute("INSERT INTO psy (id) VALUES (950)"))
    conn.isolation_level = conn.read_only = None
    xid = conn.xid(1, "gtrid", "bqual")
    conn.autocommit = False
    conn.tpc_begin(xid)
    conn.execute("INSERT INTO psy (id) VALUES (960)")
    conn.tpc_prepare()
    conn.tpc_rollback()
    conn.autocommit = True
    show("two phases", conn.execute("SELECT count(*) FROM psy WHERE id = 960").fetchone())
    show("composed", conn.execute(sql.SQL("SELECT {} FROM {} WHERE id = 2").format(sql.Identifier("name"), sql.Identifier("psy"))).fetchone())
    show("large", len(conn.execute("SELECT repeat('x', 20000000)").fetchone()[0]), len(conn.execute("SELECT %s::bytea", (b"y" * 5000000,)).fetchone()[0]))
    show("settings", conn.execute("SELECT set_config('timezone', 'Asia/Tokyo', false)").fetchone(), conn.info.parameter_status("TimeZone"))
    conn.execute("DROP TABLE psy")
show("json", json.dumps(True))
print("end")
