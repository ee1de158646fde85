package colonnade.compat.hikari;

import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;
import static colonnade.compat.check.Check.sqlState;
import static colonnade.compat.jdbc.Target.count;
import static colonnade.compat.jdbc.Target.update;

import colonnade.compat.check.Check;
import colonnade.compat.jdbc.Target;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.pool.HikariPool;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** HikariCP over pgjdbc: what a pool asks of connections beyond statements. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    new Check()
        .add("connect", Main::connects)
        .add("transactions", Main::transactions)
        .add("reconnect", Main::reconnects)
        .add("threads", Main::threads)
        .add("state", Main::state)
        .run();
  }

  private static HikariConfig config(int size) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(Target.url());
    config.setDataSourceProperties(Target.properties());
    config.setMaximumPoolSize(size);
    config.setConnectionTimeout(20_000);
    return config;
  }

  private static void connects() throws SQLException {
    try (HikariDataSource pool = new HikariDataSource(config(2));
        Connection connection = pool.getConnection()) {
      equal("user", connection.getMetaData().getUserName(), Check.environment("PGUSER"));
    }
    HikariConfig wrong = config(1);
    wrong.addDataSourceProperty("password", "wrong");
    try (HikariDataSource pool = new HikariDataSource(wrong)) {
      Check.fail("a wrong password makes a pool: " + pool);
    } catch (HikariPool.PoolInitializationException refused) {
      sqlState("a wrong password", "28P01", () -> {
        throw (SQLException) refused.getCause();
      });
    }
  }

  /** What a borrower leaves open is rolled back before the next one has it. */
  private static void transactions() throws SQLException {
    HikariConfig config = config(1);
    config.setAutoCommit(false);
    try (HikariDataSource pool = new HikariDataSource(config)) {
      try (Connection connection = pool.getConnection()) {
        update(connection, "UPDATE accounts SET note = 'left open' WHERE id BETWEEN 101 AND 108");
      }
      try (Connection connection = pool.getConnection()) {
        equal("left open", count(connection, "note = 'left open'"), 0L);
        update(connection, "UPDATE accounts SET note = 'committed' WHERE id BETWEEN 101 AND 108");
        connection.commit();
      }
      try (Connection connection = pool.getConnection()) {
        equal("committed", count(connection, "note = 'committed'"), 8L);
        sqlState("an error", "22012", () -> Target.number(connection, "SELECT 1 / 0"));
      }
      try (Connection connection = pool.getConnection()) {
        equal("after an error", count(connection, "id = 1"), 1L);
      }
    }
  }

  private static void reconnects() throws Exception {
    HikariConfig config = config(1);
    config.setAutoCommit(false);
    try (HikariDataSource pool = new HikariDataSource(config)) {
      for (int round = 0; round < 3; round += 1) {
        try (Connection lost = pool.getConnection()) {
          update(lost, "SET LOCAL idle_in_transaction_session_timeout = 100");
          update(lost, "UPDATE accounts SET note = 'lost' WHERE id = 77");
          Thread.sleep(400);
          try {
            update(lost, "UPDATE accounts SET note = 'lost' WHERE id = 78");
            Check.fail("a lost transaction went on");
          } catch (SQLException error) {
            isTrue(List.of("25P03", "57P01", "08006").contains(error.getSQLState()), "the lost connection's error: " + error);
          }
        }
        try (Connection next = pool.getConnection()) {
          equal("what the lost transaction wrote is undone", count(next, "note = 'lost'"), 0L);
        }
      }
    }
  }

  private static void threads() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(12);
    try (HikariDataSource pool = new HikariDataSource(config(5))) {
      List<Future<?>> all = new ArrayList<>();
      for (int thread = 0; thread < 12; thread += 1) {
        int first = thread * 60;
        all.add(threads.submit(() -> {
          for (int id = first + 1; id <= first + 60; id += 1)
            try (Connection connection = pool.getConnection();
                PreparedStatement statement = connection.prepareStatement("SELECT owner FROM accounts WHERE id = ?")) {
              statement.setLong(1, id);
              try (ResultSet rows = statement.executeQuery()) {
                isTrue(rows.next(), "there is a row");
                equal("owner", rows.getString(1), "owner " + id);
              }
            }
          return null;
        }));
      }
      for (Future<?> each : all) each.get(60, TimeUnit.SECONDS);
    } finally {
      threads.shutdownNow();
    }
  }

  /** The pool sets what its configuration says, and sets back what a borrower changed. */
  private static void state() throws SQLException {
    HikariConfig config = config(1);
    config.setSchema("public");
    config.setTransactionIsolation("TRANSACTION_REPEATABLE_READ");
    config.setConnectionInitSql("SET application_name = 'of the pool'");
    config.setConnectionTestQuery("SELECT 1");
    try (HikariDataSource pool = new HikariDataSource(config)) {
      try (Connection connection = pool.getConnection()) {
        equal("isolation", text(connection, "SHOW transaction_isolation"), "repeatable read");
        equal("application_name", text(connection, "SHOW application_name"), "of the pool");
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setSchema("pg_catalog");
        connection.setNetworkTimeout(Runnable::run, 30_000);
        equal("isolation", text(connection, "SHOW transaction_isolation"), "serializable");
        equal("search_path", text(connection, "SHOW search_path"), "pg_catalog");
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        sqlState("a write", "25006", () -> update(connection, "UPDATE public.accounts SET note = 'no' WHERE id = 1"));
      }
      try (Connection connection = pool.getConnection()) {
        isTrue(connection.getAutoCommit() && !connection.isReadOnly(), "it may write again");
        equal("isolation", text(connection, "SHOW transaction_isolation"), "repeatable read");
        equal("search_path", text(connection, "SHOW search_path"), "public");
        equal("rows updated", update(connection, "UPDATE accounts SET note = 'yes' WHERE id = 1"), 1);
      }
    }
  }

  private static String text(Connection connection, String sql) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql);
        ResultSet rows = statement.executeQuery()) {
      isTrue(rows.next(), "there is a row");
      return rows.getString(1);
    }
  }
}
