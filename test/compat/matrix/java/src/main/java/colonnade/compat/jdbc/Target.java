package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.environment;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** What is connected to, from libpq's variables, which pgjdbc does not read; and what every check asks. */
public final class Target {
  private Target() {}

  public static String url() {
    return "jdbc:postgresql://%s:%s/%s"
        .formatted(environment("PGHOST"), environment("PGPORT"), environment("PGDATABASE"));
  }

  /** Names and values by turns, over those of the environment. */
  public static Properties properties(String... more) {
    Properties properties = new Properties();
    properties.setProperty("user", environment("PGUSER"));
    properties.setProperty("password", environment("PGPASSWORD"));
    properties.setProperty("sslmode", environment("PGSSLMODE"));
    properties.setProperty("sslrootcert", environment("PGSSLROOTCERT"));
    properties.setProperty("socketTimeout", "40");
    for (int index = 0; index < more.length; index += 2)
      properties.setProperty(more[index], more[index + 1]);
    return properties;
  }

  public static Connection connect(String... more) throws SQLException {
    return DriverManager.getConnection(url(), properties(more));
  }

  public static int update(Connection connection, String sql, Object... parameters)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      bind(statement, parameters);
      return statement.executeUpdate();
    }
  }

  public static void bind(PreparedStatement statement, Object... parameters) throws SQLException {
    for (int index = 0; index < parameters.length; index += 1)
      statement.setObject(index + 1, parameters[index]);
  }

  /** Of the one row that comes. */
  public static long number(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      if (!rows.next()) throw new SQLException("no row: " + sql);
      return rows.getLong(1);
    }
  }

  public static long count(Connection connection, String condition) throws SQLException {
    return number(connection, "SELECT count(*) FROM accounts WHERE " + condition);
  }
}
