// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

import java.sql.*;
import java.util.Properties;

/** Connects as its environment says, with no password, and counts the orders. */
public class Certificate {
  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    for (String name : new String[] {"user", "sslrootcert", "sslcert", "sslkey", "sslpassword"}) {
      String value = System.getenv(name);
      if (value != null) p.setProperty(name, value);
    }
    p.setProperty("sslmode", "verify-full");
    try (Connection c = DriverManager.getConnection(System.getenv("url"), p);
        PreparedStatement s = c.prepareStatement("SELECT count(*) FROM orders WHERE id > ?")) {
      s.setInt(1, 0);
      ResultSet r = s.executeQuery();
      r.next();
      System.out.println(r.getLong(1));
    }
  }
}
