// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** JDBC at its ordinary work. It prints all that it sees. */
public class Client {
  static void show(Object... values) {
    StringBuilder line = new StringBuilder();
    for (Object value : values) line.append(value).append(' ');
    System.out.println(line.toString().trim());
  }

  interface Work { Object run() throws Exception; }

  static void fails(String what, Work work) throws Exception {
    try {
      show(what, work.run());
    } catch (PSQLException e) {
      ServerErrorMessage m = e.getServerErrorMessage();
      if (m == null) show(what, e.getSQLState(), e.getMessage());
      else show(what, m.getSeverity(), m.getSQLState(), m.getMessage(), m.getDetail(), m.getHint(), m.getPosition(), m.getTable(), m.getConstraint());
    }
  }

  static void rows(String what, ResultSet r) throws SQLException {
    int n = r.getMetaData().getColumnCount();
    while (r.next()) {
      StringBuilder line = new StringBuilder(what);
      for (int i = 1; i <= n; i++) line.append('|').append(r.getMetaData().getColumnTypeName(i)).append('=').append(r.getString(i));
      System.out.println(line);
    }
    r.close();
  }

  public static void main(String[] args) throws Exception {
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", System.getenv("PGPASSWORD"));
    p.setProperty("sslmode", "verify-full");
    p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    p.setProperty("prepareThreshold", "3");
    try (Connection c = DriverManager.getConnection(url, p); Statement s = c.createStatement()) {
      rows("pid", s.executeQuery("SELECT pg_backend_pid() = " + c.unwrap(PGConnection.class).getBackendPID()));
      boolean more = s.execute("DROP TABLE IF EXISTS jdbc; CREATE TABLE jdbc (id serial PRIMARY KEY, name text UNIQUE, n numeric, b bytea, at timestamptz);"
          + "INSERT INTO jdbc (name) VALUES ('first'); SELECT id, name FROM jdbc");
      for (int i = 0; i < 5; i++) {
        if (more) rows("several", s.getResultSet()); else show("several", s.getUpdateCount());
        more = s.getMoreResults();
      }
      try (PreparedStatement q = c.prepareStatement("INSERT INTO jdbc (name, n, b, at) VALUES (?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 0; i < 300; i++) {
          q.setString(1, "n" + i);
          q.setBigDecimal(2, new java.math.BigDecimal(i).movePointLeft(1));
          q.setBytes(3, new byte[] {(byte) i, 0});
          q.setTimestamp(4, new Timestamp(1_700_000_000_000L));
          q.addBatch();
        }
        show("batch", q.executeBatch().length);
      }
      try (PreparedStatement q = c.prepareStatement("SELECT id, name, n, length(b) FROM jdbc WHERE id = ?")) {
        for (int i = 1; i < 8; i++) {
          q.setInt(1, i);
          rows("prepared", q.executeQuery());
        }
      }
      c.setAutoCommit(false);
      s.setFetchSize(50);
      long sum = 0;
      ResultSet r = s.executeQuery("SELECT id FROM jdbc");
      while (r.next()) sum += r.getInt(1);
      show("fetch size", sum);
      Savepoint save = c.setSavepoint("here");
      fails("in transaction", () -> s.executeUpdate("INSERT INTO jdbc (name) VALUES ('first')"));
      fails("aborted", () -> s.executeQuery("SELECT 1"));
      c.rollback(save);
      rows("after savepoint", s.executeQuery("SELECT count(*) FROM jdbc"));
      c.commit();
      c.setAutoCommit(true);
      s.setFetchSize(0);
      for (String text : new String[] {"SELECT * FRO jdbc", "SELECT * FROM jdbc_none", "SELECT nope FROM jdbc", "SELECT 1/0", "INSERT INTO jdbc (id) VALUES (1)"}) {
        fails(text, () -> s.execute(text));
        fails(text + " prepared", () -> c.prepareStatement(text).execute());
      }
      org.postgresql.copy.CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
      show("copy in", copy.copyIn("COPY jdbc (id, name) FROM STDIN", new StringReader("9001\tcopied\n9002\t\\N\n")));
      StringWriter out = new StringWriter();
      show("copy out", copy.copyOut("COPY (SELECT id, name FROM jdbc WHERE id > 9000 ORDER BY id) TO STDOUT CSV", out), out.toString().replace('\n', ';'));
      fails("copy error", () -> copy.copyIn("COPY jdbc (id) FROM STDIN", new StringReader("x\n")));
      s.execute("LISTEN jdbc");
      s.execute("NOTIFY jdbc, 'hello'");
      for (var n : c.unwrap(PGConnection.class).getNotifications(5000)) show("notify", n.getName(), n.getParameter(), n.getPID() == c.unwrap(PGConnection.class).getBackendPID());
      s.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
      show("warning", s.getWarnings().getMessage(), s.getWarnings().getSQLState());
      DatabaseMetaData m = c.getMetaData();
      show("metadata", m.getDatabaseProductVersion(), m.getMaxConnections() > 0);
      rows("columns", m.getColumns(null, "public", "jdbc", null));
      rows("keys", m.getPrimaryKeys(null, "public", "jdbc"));
      rows("tables", m.getTables(null, "public", "jdbc%", null));
      c.setReadOnly(true);
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      fails("read only", () -> s.executeUpdate("DELETE FROM jdbc"));
      c.setReadOnly(false);
      s.execute("DROP TABLE jdbc");
    }
    System.out.println("end");
  }
}
