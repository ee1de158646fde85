package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.environment;
import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;
import static colonnade.compat.jdbc.Target.connect;

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGResultSetMetaData;

/** DatabaseMetaData: what tools and frameworks ask of the catalog. */
final class Metadata {
  private Metadata() {}

  static void metadata() throws SQLException {
    try (Connection connection = connect()) {
      DatabaseMetaData data = connection.getMetaData();
      equal("tables", read(data.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_SCHEM", "TABLE_NAME"),
          List.of("public.accounts", "public.entries", "public.every_type", "public.kinds"));
      equal("columns", read(data.getColumns(null, "public", "accounts", "%"), "COLUMN_NAME", "TYPE_NAME", "NULLABLE", "COLUMN_DEF"),
          List.of("id.int8.0.null", "owner.text.0.null", "balance.numeric.0.0", "note.text.1.null"));
      equal("an identity column", read(data.getColumns(null, "public", "entries", "id"), "COLUMN_NAME", "IS_AUTOINCREMENT"), List.of("id.YES"));
      equal("primary key", read(data.getPrimaryKeys(null, "public", "entries"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"),
          List.of("account_id.1.entries_pkey", "id.2.entries_pkey"));
      equal("indexes", read(data.getIndexInfo(null, "public", "entries", true, false), "INDEX_NAME", "COLUMN_NAME", "NON_UNIQUE"),
          List.of("entries_pkey.account_id.f", "entries_pkey.id.f"));
      equal("imported keys", read(data.getImportedKeys(null, "public", "entries"), "PKTABLE_NAME", "PKCOLUMN_NAME", "FKCOLUMN_NAME", "FK_NAME"),
          List.of("accounts.id.account_id.entries_account_id_fkey"));
      equal("exported keys", read(data.getExportedKeys(null, "public", "accounts"), "FKTABLE_NAME", "FKCOLUMN_NAME"), List.of("entries.account_id"));
      equal("row identifier", read(data.getBestRowIdentifier(null, "public", "accounts", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME"), List.of("id"));
      isTrue(read(data.getSchemas(), "TABLE_SCHEM").contains("public"), "the schema is found");
      equal("catalogs", read(data.getCatalogs(), "TABLE_CAT").contains(connection.getCatalog()), true);
      isTrue(read(data.getTypeInfo(), "TYPE_NAME").containsAll(List.of("int8", "text", "mood", "posint", "comp")), "the types are found");
      equal("types of its own", read(data.getUDTs(null, "public", "%", null), "TYPE_NAME", "CLASS_NAME").size() >= 2, true);
      isTrue(read(data.getFunctions(null, "pg_catalog", "now"), "FUNCTION_NAME").contains("now"), "a function is found");
      equal("privileges", read(data.getTablePrivileges(null, "public", "kinds"), "GRANTEE", "PRIVILEGE").contains(environment("PGUSER") + ".SELECT"), true);
      columns(connection);
    }
  }

  /** Where a result's columns come from, which pgjdbc asks the catalog for by the tables' oids. */
  private static void columns(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement("SELECT e.id AS entry, a.owner, a.balance * 2 FROM accounts a JOIN entries e ON e.account_id = a.id WHERE a.id = ?")) {
      ResultSetMetaData data = statement.getMetaData();
      PGResultSetMetaData own = data.unwrap(PGResultSetMetaData.class);
      equal("tables", List.of(own.getBaseTableName(1), own.getBaseTableName(2), own.getBaseTableName(3)), List.of("entries", "accounts", ""));
      equal("columns", List.of(own.getBaseColumnName(1), own.getBaseSchemaName(2)), List.of("id", "public"));
      equal("labels", List.of(data.getColumnLabel(1), data.getColumnTypeName(3)), List.of("entry", "numeric"));
      equal("identity", List.of(data.isAutoIncrement(1), data.isNullable(2)), List.of(true, ResultSetMetaData.columnNoNulls));
    }
  }

  /** A row a line, its values with a point between. */
  private static List<String> read(ResultSet rows, String... columns) throws SQLException {
    List<String> lines = new ArrayList<>();
    try (rows) {
      while (rows.next()) {
        List<String> values = new ArrayList<>();
        for (String column : columns) values.add(rows.getString(column));
        lines.add(String.join(".", values.stream().map(String::valueOf).toList()));
      }
    }
    return lines;
  }

  /** Result sets that write: pgjdbc looks the primary key up and words the statements. */
  static void updatable() throws SQLException {
    try (Connection connection = connect();
        Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
      try (ResultSet rows = statement.executeQuery("SELECT id, owner, note FROM accounts WHERE id BETWEEN 201 AND 208 ORDER BY id")) {
        isTrue(rows.last() && rows.getRow() == 8 && rows.first() && rows.absolute(3), "it scrolls");
        rows.updateString("note", "through the result set");
        rows.updateRow();
        rows.absolute(8);
        rows.deleteRow();
        rows.moveToInsertRow();
        rows.updateLong("id", 6001);
        rows.updateString("owner", "inserted");
        rows.insertRow();
      }
      equal("updated", Target.count(connection, "note = 'through the result set' AND id = 203"), 1L);
      equal("deleted", Target.count(connection, "id = 208"), 0L);
      equal("inserted", Target.count(connection, "owner = 'inserted' AND id = 6001"), 1L);
    }
  }
}
