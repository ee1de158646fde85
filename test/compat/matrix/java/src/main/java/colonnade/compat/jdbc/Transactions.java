package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.fail;
import static colonnade.compat.check.Check.isTrue;
import static colonnade.compat.check.Check.sqlState;
import static colonnade.compat.jdbc.Target.connect;
import static colonnade.compat.jdbc.Target.count;
import static colonnade.compat.jdbc.Target.update;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** Transactions, notifications, errors and lost connections. */
final class Transactions {
  private Transactions() {}

  static void transactions() throws SQLException {
    try (Connection connection = connect();
        Connection other = connect()) {
      connection.setAutoCommit(false);
      set(connection, "first");
      equal("seen from outside before the commit", count(other, "note = 'first'"), 0L);
      connection.commit();
      equal("committed", count(other, "note = 'first'"), 8L);
      set(connection, "second");
      connection.rollback();
      equal("rolled back", count(other, "note = 'second'"), 0L);

      update(connection, "UPDATE accounts SET note = 'outer' WHERE id IN (101, 102, 103, 104)");
      Savepoint named = connection.setSavepoint("it's \"named\"");
      set(connection, "inner");
      Savepoint unnamed = connection.setSavepoint();
      sqlState("a duplicate", "23505", () -> update(connection, "INSERT INTO accounts (id, owner) VALUES (105, 'twice')"));
      sqlState("after an error", "25P02", () -> count(connection, "id = 1"));
      connection.rollback(unnamed);
      equal("what was before the error is there", count(connection, "note = 'inner'"), 8L);
      connection.rollback(named);
      update(connection, "UPDATE accounts SET note = 'after' WHERE id = 108");
      connection.releaseSavepoint(named);
      connection.commit();
      equal("outer", count(other, "note = 'outer'"), 4L);
      equal("inner", count(other, "note = 'inner'"), 0L);
      equal("after", count(other, "note = 'after'"), 1L);

      connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      connection.setReadOnly(true);
      equal("isolation", connection.getTransactionIsolation(), Connection.TRANSACTION_SERIALIZABLE);
      connection.commit();
      sqlState("a write of a read-only transaction", "25006", () -> update(connection, "UPDATE accounts SET note = 'no' WHERE id = 101"));
      connection.rollback();
      connection.setReadOnly(false);
      connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
      sqlState("a duplicate", "23505", () -> update(connection, "INSERT INTO accounts (id, owner) VALUES (105, 'twice')"));
      connection.rollback();
      connection.setAutoCommit(true);
      equal("the connection goes on", count(connection, "id <= 1000"), 1000L);
    }
  }

  private static void set(Connection connection, String note) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement("UPDATE accounts SET note = ? WHERE id = ?")) {
      for (long id = 101; id <= 108; id += 1) {
        Target.bind(statement, note, id);
        equal("rows updated", statement.executeUpdate(), 1);
      }
    }
  }

  /** A savepoint around each statement, so that its error undoes it alone. */
  static void autosave() throws SQLException {
    for (String mode : List.of("always", "conservative"))
      try (Connection connection = connect("autosave", mode, "cleanupSavepoints", "true")) {
        boolean isAlways = mode.equals("always");
        connection.setAutoCommit(false);
        set(connection, mode);
        for (long id = 101; id <= 104; id += 1) {
          long taken = id;
          sqlState("a duplicate", "23505", () -> update(connection, "INSERT INTO accounts (id, owner) VALUES (?, 'twice')", taken));
          if (isAlways) equal("the transaction goes on", count(connection, "note = '" + mode + "'"), 8L);
          else break;
        }
        if (!isAlways) sqlState("an error that no savepoint mends", "25P02", () -> count(connection, "id = 1"));
        if (isAlways) connection.commit();
        else connection.rollback();
        equal("rows", count(connection, "note = '" + mode + "'"), isAlways ? 8L : 0L);
        connection.commit();
      }
  }

  static void listens() throws SQLException {
    try (Connection connection = connect();
        Connection other = connect()) {
      PGConnection listener = connection.unwrap(PGConnection.class);
      update(connection, "LISTEN \"News of accounts\"");
      update(other, "NOTIFY \"News of accounts\", 'grüße'");
      equal("payloads", payloads(listener.getNotifications(10_000)), List.of("grüße"));
      other.setAutoCommit(false);
      for (String payload : List.of("one", "two")) notify(other, payload);
      equal("before the commit", payloads(listener.getNotifications(300)), List.of());
      other.commit();
      equal("payloads", payloads(listener.getNotifications(10_000)), List.of("one", "two"));
      notify(other, "never");
      other.rollback();
      equal("a query in between", count(connection, "id <= 10"), 10L);
      update(connection, "UNLISTEN *");
      notify(other, "nobody listens");
      other.commit();
      equal("after UNLISTEN", payloads(listener.getNotifications(300)), List.of());
    }
  }

  private static void notify(Connection connection, String payload) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement("SELECT pg_notify('News of accounts', ?)")) {
      statement.setString(1, payload);
      statement.execute();
    }
  }

  private static List<String> payloads(PGNotification[] notifications) {
    return notifications == null ? List.of() : List.of(notifications).stream().map(PGNotification::getParameter).toList();
  }

  static void reportsErrors() throws SQLException {
    try (Connection connection = connect()) {
      for (long id = 1; id <= 8; id += 1) {
        ServerErrorMessage unique = fails(connection, "23505", "INSERT INTO accounts (id, owner) VALUES (?, 'twice')", id);
        equal("fields", List.of(unique.getSchema(), unique.getTable(), unique.getConstraint(), unique.getDetail()),
            List.of("public", "accounts", "accounts_pkey", "Key (id)=(" + id + ") already exists."));
        ServerErrorMessage missing = fails(connection, "23502", "INSERT INTO accounts (id) VALUES (?)", id + 50_000);
        equal("fields", List.of(missing.getSchema(), missing.getTable(), missing.getColumn()), List.of("public", "accounts", "owner"));
        ServerErrorMessage foreign = fails(connection, "23503", "INSERT INTO entries (account_id, amount) VALUES (?, 1)", id + 50_000);
        equal("fields", List.of(foreign.getTable(), foreign.getConstraint()), List.of("entries", "entries_account_id_fkey"));
      }
      equal("position of a syntax error", fails(connection, "42601", "SELECT id FROM accounts WHERE id = 1 ODER BY id").getPosition(), 38);
      equal("position of an unknown column", fails(connection, "42703", "SELECT 'ü', nothing FROM accounts WHERE id = 1").getPosition(), 13);
      fails(connection, "22P02", "SELECT 'x'::integer");
      fails(connection, "22012", "SELECT id / 0 FROM accounts");
      equal("the connection goes on", count(connection, "id <= 1000"), 1000L);
    }
  }

  private static ServerErrorMessage fails(Connection connection, String state, String sql, Object... parameters) {
    return ((PSQLException) sqlState(sql, state, () -> {
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        Target.bind(statement, parameters);
        statement.execute();
      }
    })).getServerErrorMessage();
  }

  /** The server ends a connection whose transaction is idle for too long. */
  static void reconnects() throws Exception {
    for (int round = 0; round < 3; round += 1) {
      try (Connection lost = connect()) {
        lost.setAutoCommit(false);
        update(lost, "SET LOCAL idle_in_transaction_session_timeout = 100");
        update(lost, "UPDATE accounts SET note = 'lost' WHERE id = 77");
        Thread.sleep(400);
        try {
          update(lost, "UPDATE accounts SET note = 'lost' WHERE id = 78");
          fail("a lost transaction went on");
        } catch (SQLException error) {
          isTrue(List.of("25P03", "57P01", "08006").contains(error.getSQLState()), "the lost connection's error: " + error.getSQLState());
        }
      }
      try (Connection next = connect()) {
        equal("what the lost transaction wrote is undone", count(next, "note = 'lost'"), 0L);
      }
    }
  }
}
