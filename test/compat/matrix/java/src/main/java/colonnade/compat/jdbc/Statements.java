package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;
import static colonnade.compat.jdbc.Target.connect;
import static colonnade.compat.jdbc.Target.count;
import static colonnade.compat.jdbc.Target.update;

import colonnade.compat.check.Check;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.postgresql.PGStatement;

/** Prepared statements, batches, and what settings make of them on the wire. */
final class Statements {
  private Statements() {}

  static void prepared() throws SQLException {
    try (Connection connection = connect();
        Connection other = connect();
        PreparedStatement statement =
            connection.prepareStatement("SELECT owner, balance FROM accounts WHERE id = ?")) {
      ask(statement, 1, 20);
      isTrue(statement.unwrap(PGStatement.class).isUseServerPrepare(), "it is prepared on the server");
      update(other, "ALTER TABLE accounts ADD COLUMN added integer");
      ask(statement, 21, 40);
      update(other, "ALTER TABLE accounts DROP COLUMN added");
      ask(statement, 41, 45);
      equal("parameters", statement.getParameterMetaData().getParameterTypeName(1), "int8");
      equal("columns", statement.getMetaData().getColumnTypeName(2), "numeric");
    }
  }

  private static void ask(PreparedStatement statement, long from, long to) throws SQLException {
    for (long id = from; id <= to; id += 1) {
      statement.setLong(1, id);
      try (ResultSet rows = statement.executeQuery()) {
        isTrue(rows.next(), "there is a row");
        equal("owner", rows.getString(1), "owner " + id);
        equal("balance", rows.getBigDecimal(2), new BigDecimal("100.00"));
        isTrue(!rows.next(), "there is one row");
      }
    }
  }

  /** A batch is sent up to one Sync, so it is one implicit transaction where autocommit is on. */
  static void batches() throws SQLException {
    try (Connection connection = connect()) {
      try (PreparedStatement insert =
          connection.prepareStatement("INSERT INTO accounts (id, owner) VALUES (?, ?)")) {
        addRows(insert, 2001, 2040, "batch");
        equal("counts", insert.executeBatch(), IntStream.range(0, 40).map(each -> 1).toArray());
        equal("rows of the batch", count(connection, "owner = 'batch'"), 40L);
        addRows(insert, 2101, 2108, "bad batch");
        addRows(insert, 1, 1, "bad batch");
        addRows(insert, 2109, 2110, "bad batch");
        BatchUpdateException error =
            (BatchUpdateException) Check.sqlState("a duplicate in it", "23505", insert::executeBatch);
        equal("counts until the error", error.getUpdateCounts().length, 11);
        equal("rows of the failed batch", count(connection, "owner = 'bad batch'"), 0L);
      }
      try (Statement statement = connection.createStatement()) {
        statement.addBatch("UPDATE accounts SET note = 'a' WHERE id = 2001");
        statement.addBatch("UPDATE accounts SET note = 'b' WHERE owner = 'batch' AND note IS NULL");
        statement.addBatch("DELETE FROM accounts WHERE id IN (2039, 2040)");
        equal("counts", statement.executeBatch(), new int[] {1, 39, 2});
      }
      equal("rows", count(connection, "note = 'b'"), 37L);
    }
  }

  private static void addRows(PreparedStatement insert, long from, long to, String owner)
      throws SQLException {
    for (long id = from; id <= to; id += 1) {
      insert.setLong(1, id);
      insert.setString(2, owner);
      insert.addBatch();
    }
  }

  static void rewrittenBatches() throws SQLException {
    try (Connection connection = connect("reWriteBatchedInserts", "true");
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO accounts (id, owner) VALUES (?, ?) ON CONFLICT (id) DO NOTHING")) {
      // 300 rows: VALUES lists of 128 rows and less.
      addRows(insert, 3001, 3300, "rewritten");
      int[] counts = insert.executeBatch();
      equal("counts", counts.length, 300);
      for (int each : counts) equal("a count", each, Statement.SUCCESS_NO_INFO);
      equal("rows", count(connection, "owner = 'rewritten' AND id BETWEEN 3001 AND 3300"), 300L);
      addRows(insert, 3291, 3310, "rewritten");
      insert.executeBatch();
      equal("rows", count(connection, "owner = 'rewritten'"), 310L);
      connection.setAutoCommit(false);
      addRows(insert, 3401, 3500, "rewritten");
      insert.executeBatch();
      connection.rollback();
      equal("rows after a rollback", count(connection, "owner = 'rewritten'"), 310L);
      connection.commit();
    }
  }

  static void queryModes() throws SQLException {
    long firstId = 4000;
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
      try (Connection connection = connect("preferQueryMode", mode)) {
        useIt(connection, mode, firstId);
        try (Statement statement = connection.createStatement()) {
          for (int round = 0; round < 10; round += 1)
            try (ResultSet rows = statement.executeQuery("SELECT count(*) FROM accounts WHERE id <= 1000")) {
              isTrue(rows.next(), mode + ": there is a row");
              equal(mode + ": count", rows.getLong(1), 1000L);
            }
          severalResults(statement, mode);
        }
      }
      firstId += 100;
    }
  }

  private static void severalResults(Statement statement, String mode) throws SQLException {
    isTrue(
        statement.execute(
            "SELECT owner FROM accounts WHERE id = 7; UPDATE accounts SET note = note WHERE id IN (7, 8, 9); SELECT 5"),
        mode + ": the first result is rows");
    try (ResultSet rows = statement.getResultSet()) {
      isTrue(rows.next(), mode + ": there is a row");
      equal(mode + ": owner", rows.getString(1), "owner 7");
    }
    isTrue(!statement.getMoreResults(), mode + ": the second result is a count");
    equal(mode + ": count", statement.getUpdateCount(), 3);
    isTrue(statement.getMoreResults(), mode + ": the third result is rows");
    isTrue(!statement.getMoreResults() && statement.getUpdateCount() == -1, mode + ": there are three");
  }

  static void prepareThresholds() throws SQLException {
    long firstId = 5000;
    for (String threshold : List.of("0", "1", "5"))
      for (String binary : List.of("true", "false")) {
        String what = "prepareThreshold " + threshold + ", binaryTransfer " + binary;
        // A small cache, so that statements are closed and prepared again.
        try (Connection connection =
            connect("prepareThreshold", threshold, "binaryTransfer", binary, "preparedStatementCacheQueries", "2")) {
          useIt(connection, what, firstId);
        }
        firstId += 100;
      }
  }

  /** Writes and reads over all placements, each statement often enough to pass the threshold. */
  private static void useIt(Connection connection, String what, long firstId) throws SQLException {
    for (long id = firstId; id < firstId + 12; id += 1) {
      String owner = "o'wner \\ ? $1 " + id;
      equal(what, update(connection, "INSERT INTO accounts (id, owner, balance) VALUES (?, ?, ?)", id, owner, new BigDecimal("12.50")), 1);
      equal(what, update(connection, "UPDATE accounts SET note = ? WHERE id = ?", "ü", id), 1);
      String sql = "SELECT id, owner, balance, note FROM accounts WHERE id BETWEEN ? AND ? ORDER BY id DESC";
      List<Object> read = new ArrayList<>();
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        Target.bind(statement, firstId, id);
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next())
            read.add(List.of(rows.getLong(1), rows.getString(2), rows.getBigDecimal(3), rows.getString(4)));
        }
      }
      List<Object> want = new ArrayList<>();
      for (long each = id; each >= firstId; each -= 1)
        want.add(List.of(each, "o'wner \\ ? $1 " + each, new BigDecimal("12.50"), "ü"));
      equal(what, read, want);
    }
    equal(what, update(connection, "DELETE FROM accounts WHERE id = ANY (?)", (Object) new Long[] {firstId, firstId + 1}), 2);
  }

  static void generatedKeys() throws SQLException {
    try (Connection connection = connect();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO entries (account_id, amount) VALUES (?, ?)", new String[] {"id", "at"})) {
      for (long account = 1; account <= 8; account += 1) {
        insert.setLong(1, account);
        insert.setBigDecimal(2, BigDecimal.TEN);
        insert.addBatch();
      }
      insert.executeBatch();
      List<Long> ids = new ArrayList<>();
      try (ResultSet keys = insert.getGeneratedKeys()) {
        while (keys.next()) {
          ids.add(keys.getLong("id"));
          isTrue(keys.getTimestamp("at") != null, "the default comes back");
        }
      }
      equal("generated keys", ids.stream().distinct().count(), 8L);
      for (int index = 0; index < ids.size(); index += 1)
        equal(
            "the row of a key",
            Target.number(connection, "SELECT account_id FROM entries WHERE account_id = " + (index + 1) + " AND id = " + ids.get(index)),
            index + 1L);
    }
  }
}
