package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.environment;
import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;
import static colonnade.compat.check.Check.sqlState;
import static colonnade.compat.jdbc.Target.connect;

import colonnade.compat.check.Check;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** pgjdbc as its users have it, in its query modes and with the settings that change what it sends. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    new Check()
        .add("connect", Main::connects)
        .add("types-text", Types::asText)
        .add("types-binary", Types::asBinary)
        .add("prepared", Statements::prepared)
        .add("pipeline", Statements::batches)
        .add("copy", Streams::copies)
        .add("cursor", Streams::cursor)
        .add("cancel", Streams::cancels)
        .add("transactions", Transactions::transactions)
        .add("listen", Transactions::listens)
        .add("errors", Transactions::reportsErrors)
        .add("reconnect", Transactions::reconnects)
        .add("large", Streams::large)
        .add("query-modes", Statements::queryModes)
        .add("prepare-threshold", Statements::prepareThresholds)
        .add("default-row-fetch-size", Streams::defaultRowFetchSize)
        .add("rewrite-batched-inserts", Statements::rewrittenBatches)
        .add("generated-keys", Statements::generatedKeys)
        .add("autosave", Transactions::autosave)
        .add("metadata", Metadata::metadata)
        .add("updatable", Metadata::updatable)
        .add("channel-binding", Main::channelBinding)
        .run();
  }

  private static void connects() throws SQLException {
    try (Connection connection = connect()) {
      equal("product", connection.getMetaData().getDatabaseProductName(), "PostgreSQL");
      try (Statement statement = connection.createStatement();
          ResultSet rows =
              statement.executeQuery(
                  "SELECT current_setting('server_version'), current_user, current_database()")) {
        isTrue(rows.next(), "there is a row");
        equal("version", rows.getString(1), connection.getMetaData().getDatabaseProductVersion());
        equal("current_user", rows.getString(2), environment("PGUSER"));
        equal("current_database()", rows.getString(3), environment("PGDATABASE"));
      }
      isTrue(connection.isValid(5), "the connection is valid");
      equal("catalog", connection.getCatalog(), environment("PGDATABASE"));
      equal("schema", connection.getSchema(), "public");
    }
    sqlState("a wrong password", "28P01", () -> connect("password", "wrong").close());
    // A file without an authority: no server's certificate can be verified.
    sqlState("an unverified certificate", "08006", () -> connect("sslrootcert", "/dev/null").close());
  }

  /** SCRAM-SHA-256-PLUS: the password's proof covers the server's certificate. */
  private static void channelBinding() throws SQLException {
    try (Connection connection = connect("channelBinding", "require")) {
      equal("SELECT 1", Target.number(connection, "SELECT 1"), 1L);
    }
  }
}
