package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;
import static colonnade.compat.check.Check.sqlState;
import static colonnade.compat.jdbc.Target.connect;
import static colonnade.compat.jdbc.Target.count;
import static colonnade.compat.jdbc.Target.update;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.copy.CopyOut;
import org.postgresql.util.PSQLException;

/** COPY, results in pieces, and what ends a statement early. */
final class Streams {
  private Streams() {}

  private static final int COPIED = 5000;

  static void copies() throws SQLException, IOException {
    try (Connection connection = connect()) {
      CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
      String text = lines(10_000, "copied %d\ttab\\\\t\\tnewline\\nend");
      equal("rows in", copy.copyIn("COPY accounts (id, owner, note) FROM STDIN", new StringReader(text)), (long) COPIED);
      StringWriter out = new StringWriter();
      String query = "SELECT id, owner, note FROM accounts WHERE id > 10000 AND id <= 20000 ORDER BY id";
      equal("rows out", copy.copyOut("COPY (" + query + ") TO STDOUT", out), (long) COPIED);
      equal("what was copied out", out.toString(), text);
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery(query)) {
        for (int index = 1; index <= COPIED; index += 1) {
          isTrue(rows.next(), "there is a row");
          equal("row", List.of(rows.getLong(1), rows.getString(2), rows.getString(3)),
              List.of(10_000L + index, "copied " + index, "tab\\t\tnewline\nend"));
        }
        isTrue(!rows.next(), "there is no row more");
      }
      binary(connection, copy);
      PSQLException error = (PSQLException) sqlState("COPY of a broken line", "22P02", () -> {
        try {
          copy.copyIn("COPY accounts (id, owner, note) FROM STDIN",
              new StringReader(lines(30_000, "bad\tnote").replace("\n32001\t", "\nx2001\t")));
        } catch (IOException fault) {
          throw new SQLException(fault);
        }
      });
      String where = error.getServerErrorMessage().getWhere();
      isTrue(where.contains("line 2001") && where.contains("accounts"), "the error's line: " + where);
      equal("rows of the failed COPY", count(connection, "id > 30000 AND id <= 40000"), 0L);
    }
  }

  /** A table out and in again in binary, without a look at what it says. */
  private static void binary(Connection connection, CopyManager copy) throws SQLException {
    update(connection, "CREATE TEMPORARY TABLE copied (LIKE accounts)");
    long all = count(connection, "true");
    CopyOut out = copy.copyOut("COPY accounts (id, owner, balance, note) TO STDOUT (FORMAT binary)");
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (byte[] each = out.readFromCopy(); each != null; each = out.readFromCopy()) bytes.writeBytes(each);
    equal("rows out", out.getHandledRowCount(), all);
    try {
      equal("rows in", copy.copyIn("COPY copied (id, owner, balance, note) FROM STDIN (FORMAT binary)",
          new ByteArrayInputStream(bytes.toByteArray())), all);
    } catch (IOException fault) {
      throw new SQLException(fault);
    }
    equal("their sum", Target.number(connection, "SELECT sum(id) FROM copied"), Target.number(connection, "SELECT sum(id) FROM accounts"));
  }

  private static String lines(int firstId, String rest) {
    StringBuilder text = new StringBuilder();
    for (int index = 1; index <= COPIED; index += 1)
      text.append(firstId + index).append('\t').append(rest.replace("%d", String.valueOf(index))).append('\n');
    return text.toString();
  }

  /** A fetch size has portals with a row limit, which live as long as their transaction. */
  static void cursor() throws SQLException {
    try (Connection connection = connect()) {
      connection.setAutoCommit(false);
      try (PreparedStatement upward = connection.prepareStatement("SELECT id FROM accounts WHERE id <= ? ORDER BY id");
          PreparedStatement downward = connection.prepareStatement("SELECT id FROM accounts WHERE id <= ? ORDER BY id DESC")) {
        for (PreparedStatement each : List.of(upward, downward)) {
          each.setFetchSize(70);
          each.setLong(1, 1000);
        }
        try (ResultSet up = upward.executeQuery();
            ResultSet down = downward.executeQuery()) {
          for (long seen = 1; seen <= 1000; seen += 1) {
            isTrue(up.next() && down.next(), "there is a row in both");
            equal("ids", List.of(up.getLong(1), down.getLong(1)), List.of(seen, 1001 - seen));
            if (seen % 100 == 0) equal("in between", count(connection, "id = 5"), 1L);
          }
          isTrue(!up.next() && !down.next(), "there is no row more");
        }
      }
      connection.commit();
    }
  }

  static void defaultRowFetchSize() throws SQLException {
    for (String adaptive : List.of("false", "true"))
      try (Connection connection =
          connect("defaultRowFetchSize", "50", "adaptiveFetch", adaptive, "maxResultBuffer", "1M")) {
        connection.setAutoCommit(false);
        for (int round = 0; round < 7; round += 1) {
          try (PreparedStatement statement =
              connection.prepareStatement("SELECT id, owner FROM accounts WHERE id <= 1000 AND balance = ? ORDER BY id")) {
            statement.setInt(1, 100);
            try (ResultSet rows = statement.executeQuery()) {
              for (long id = 1; rows.next(); id += 1) {
                equal("row", List.of(rows.getLong(1), rows.getString(2)), List.of(id, "owner " + id));
                // Left in the middle every other time.
                if (round % 2 == 1 && id == 333) break;
                if (id == 500) update(connection, "UPDATE accounts SET note = 'seen' WHERE id = ?", id);
              }
            }
          }
        }
        try (Statement statement = connection.createStatement();
            ResultSet rows = statement.executeQuery("SELECT count(*), sum(balance) FROM accounts WHERE id <= 1000")) {
          isTrue(rows.next(), "there is a row");
          equal("sum", rows.getLong(2), 100_000L);
        }
        connection.commit();
      }
  }

  static void cancels() throws Exception {
    try (Connection connection = connect();
        Connection other = connect();
        Statement statement = connection.createStatement()) {
      for (String slow : List.of("SELECT pg_sleep(30)", "SELECT id, pg_sleep(0.2) FROM accounts WHERE id <= 1000")) {
        CompletableFuture<Long> untouched = CompletableFuture.supplyAsync(() -> {
          try {
            return Target.number(other, "SELECT 1 FROM pg_sleep(2.5)");
          } catch (SQLException error) {
            throw new IllegalStateException(error);
          }
        });
        long begun = System.nanoTime();
        statement.setQueryTimeout(1);
        sqlState("a query's timeout", "57014", () -> statement.execute(slow));
        statement.setQueryTimeout(0);
        CompletableFuture<Void> canceler = CompletableFuture.runAsync(() -> {
          try {
            statement.cancel();
          } catch (SQLException error) {
            throw new IllegalStateException(error);
          }
        }, CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS));
        sqlState("a cancelled query", "57014", () -> statement.execute(slow));
        canceler.get(10, TimeUnit.SECONDS);
        isTrue(System.nanoTime() - begun < 10_000_000_000L, "the cancels came at once");
        equal("the connection goes on", count(connection, "id <= 1000"), 1000L);
        equal("another client's statement", untouched.get(20, TimeUnit.SECONDS), 1L);
      }
    }
  }

  static void large() throws SQLException {
    String value = "0123456789abcdeü".repeat(1 << 16);
    try (Connection connection = connect()) {
      equal("rows updated", update(connection, "UPDATE accounts SET note = ? WHERE id = ?", value, 900L), 1);
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("SELECT note, length(note) FROM accounts WHERE id = 900")) {
        isTrue(rows.next(), "there is a row");
        isTrue(rows.getString(1).equals(value), "what was written is what is read");
        equal("length", rows.getInt(2), 1 << 20);
      }
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        statement.setFetchSize(5000);
        try (ResultSet rows = statement.executeQuery("SELECT g, 'row ' || g FROM generate_series(1, 100000) AS g")) {
          for (int seen = 1; seen <= 100_000; seen += 1) {
            isTrue(rows.next(), "there is a row");
            if (rows.getInt(1) != seen || !rows.getString(2).equals("row " + seen)) equal("row", rows.getString(2), "row " + seen);
          }
          isTrue(!rows.next(), "there is no row more");
        }
      }
      connection.commit();
    }
  }
}
