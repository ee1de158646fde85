package colonnade.compat.jdbc;

import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.util.List;
import java.util.UUID;
import org.postgresql.geometric.PGpoint;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

/** Every column of every_type, there and back. */
final class Types {
  private Types() {}

  /** A column, a value as pgjdbc gives it, and the server's text of it. */
  private record Sample(String column, Object value, String text) {
    static Sample object(String column, String type, String value) throws SQLException {
      PGobject object = new PGobject();
      object.setType(type);
      object.setValue(value);
      return new Sample(column, object, value);
    }
  }

  private static List<Sample> samples() throws SQLException {
    byte[] allBytes = new byte[256];
    StringBuilder hex = new StringBuilder("\\x");
    for (int index = 0; index < allBytes.length; index += 1) {
      allBytes[index] = (byte) index;
      hex.append("%02x".formatted(index));
    }
    String text = "grüße, 世界 \\ ' \" \n\t$1 ?";
    return List.of(
        new Sample("a_boolean", true, "true"),
        new Sample("a_smallint", Short.MIN_VALUE, "-32768"),
        new Sample("an_integer", Integer.MAX_VALUE, "2147483647"),
        new Sample("a_bigint", Long.MIN_VALUE, "-9223372036854775808"),
        new Sample("a_numeric", new BigDecimal("-12345678901234567890.123456789"), "-12345678901234567890.123456789"),
        new Sample("a_real", 1.5e-7f, "1.5e-07"),
        new Sample("a_double", 0.30000000000000004, "0.30000000000000004"),
        new Sample("a_text", text, text),
        new Sample("a_varchar", "twenty characters ok", "twenty characters ok"),
        new Sample("a_char", "abc  ", "abc"),
        new Sample("a_bytea", allBytes, hex.toString()),
        new Sample("a_date", LocalDate.of(2024, 2, 29), "2024-02-29"),
        new Sample("a_time", LocalTime.parse("23:59:58.999999"), "23:59:58.999999"),
        new Sample("a_timetz", OffsetTime.parse("12:34:56.789+05:30"), "12:34:56.789+05:30"),
        new Sample("a_timestamp", LocalDateTime.parse("2024-02-29T23:59:58.123456"), "2024-02-29 23:59:58.123456"),
        new Sample("a_timestamptz", OffsetDateTime.parse("2024-02-29T23:59:58.123456Z"), "2024-02-29 23:59:58.123456+00"),
        new Sample("an_interval", new PGInterval(1, 2, -3, 0, 0, 4.005006), "1 year 2 mons -3 days +00:00:04.005006"),
        new Sample("a_uuid", UUID.fromString("01020304-0506-0708-090a-0b0c0d0e0fff"), "01020304-0506-0708-090a-0b0c0d0e0fff"),
        Sample.object("a_json", "json", "{\"a\":[1,null,\"ü\"]}"),
        Sample.object("a_jsonb", "jsonb", "{\"a\": [1, null, \"ü\"]}"),
        new Sample("integers", new Integer[] {1, null, 3}, "{1,NULL,3}"),
        new Sample("texts", new String[] {"a,b", "c\"d\\", "", "NULL"}, "{\"a,b\",\"c\\\"d\\\\\",\"\",\"NULL\"}"),
        Sample.object("an_inet", "inet", "192.168.0.1/24"),
        Sample.object("a_cidr", "cidr", "2001:db8::/32"),
        Sample.object("a_macaddr", "macaddr", "08:00:2b:01:02:ff"),
        Sample.object("a_bit", "bit", "10100101"),
        Sample.object("a_varbit", "varbit", "101"),
        new Sample("a_point", new PGpoint(1.5, -2), "(1.5,-2)"),
        Sample.object("an_int4range", "int4range", "[1,10)"),
        Sample.object("a_tstzrange", "tstzrange", "(\"2024-02-29 23:59:58.123456+00\",)"),
        Sample.object("an_xml", "xml", "<a>ü</a>"),
        Sample.object("a_money", "money", "$1,234.50"),
        Sample.object("a_mood", "mood", "happy"),
        new Sample("a_posint", 7, "7"),
        Sample.object("a_comp", "comp", "(5,\"x,\"\"y\")"));
  }

  static void asText() throws SQLException {
    roundTrip(20, "binaryTransfer", "false", "prepareThreshold", "2");
  }

  /** A threshold of -1 asks for binary at once. */
  static void asBinary() throws SQLException {
    roundTrip(30, "binaryTransfer", "true", "prepareThreshold", "-1");
  }

  private static void roundTrip(long firstId, String... settings) throws SQLException {
    try (Connection connection = Target.connect(settings)) {
      for (long id = firstId; id < firstId + 4; id += 1) {
        Target.update(connection, "INSERT INTO every_type (id) VALUES (?)", id);
        for (Sample sample : samples()) {
          roundTrip(connection, id, sample, false);
          roundTrip(connection, id, sample, true);
        }
      }
    }
  }

  private static void roundTrip(Connection connection, long id, Sample sample, boolean isNull)
      throws SQLException {
    String column = sample.column;
    try (PreparedStatement update =
        connection.prepareStatement("UPDATE every_type SET " + column + " = ? WHERE id = ?")) {
      if (isNull) update.setObject(1, null);
      else if (sample.value instanceof Integer[] list)
        update.setArray(1, connection.createArrayOf("integer", list));
      else if (sample.value instanceof String[] list)
        update.setArray(1, connection.createArrayOf("text", list));
      else update.setObject(1, sample.value);
      update.setLong(2, id);
      equal("rows updated", update.executeUpdate(), 1);
    }
    String select = "SELECT " + column + ", " + column + "::text FROM every_type WHERE id = ?";
    try (PreparedStatement query = connection.prepareStatement(select)) {
      query.setLong(1, id);
      try (ResultSet rows = query.executeQuery()) {
        isTrue(rows.next(), "the row is there");
        equal(column + " as the server's text", rows.getString(2), isNull ? null : sample.text);
        equal(column, read(rows, sample), isNull ? null : sample.value);
        equal(column + " is NULL", rows.wasNull(), isNull);
      }
    }
  }

  private static Object read(ResultSet rows, Sample sample) throws SQLException {
    Object value = sample.value;
    String text = rows.getString(1);
    if (text == null) return null;
    if (value instanceof Object[]) return rows.getArray(1).getArray();
    if (value instanceof byte[]) return rows.getBytes(1);
    if (value instanceof Short) return rows.getShort(1);
    if (sample.column.equals("an_xml"))
      return Sample.object("an_xml", "xml", rows.getSQLXML(1).getString()).value;
    // These have no class of their own, or one that keeps less than the text does.
    if (value instanceof PGobject object && value.getClass() == PGobject.class)
      return Sample.object(sample.column, object.getType(), text).value;
    return rows.getObject(1, value.getClass());
  }
}
