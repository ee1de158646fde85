package colonnade.compat.check;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Runs a program's checks and tells how each ended, one JSON line each, as compat-program.ts asks
 * for; and what checks state their expectations by. It knows nothing of drivers.
 */
public final class Check {
  /** One line of the matrix. */
  private record Line(String id, Body body) {}

  @FunctionalInterface
  public interface Body {
    void run() throws Exception;
  }

  /** An expectation that does not hold. */
  private static final class Failure extends RuntimeException {
    Failure(String message) {
      super(message);
    }
  }

  /** The driver itself has no such feature. */
  private static final class Absence extends RuntimeException {
    Absence(String message) {
      super(message);
    }
  }

  private final List<Line> lines = new ArrayList<>();

  public Check add(String id, Body body) {
    lines.add(new Line(id, body));
    return this;
  }

  /** All of them in their order, whatever becomes of each; then ends the process, and what threads are left. */
  public void run() {
    for (Line line : lines) {
      try {
        line.body.run();
        tell(line.id, "passed", "");
      } catch (Absence absence) {
        tell(line.id, "absent", absence.getMessage());
      } catch (Failure failure) {
        tell(line.id, "failed", failure.getMessage());
      } catch (Exception | AssertionError fault) {
        fault.printStackTrace();
        tell(line.id, "failed", String.valueOf(fault));
      }
    }
    System.exit(0);
  }

  private static void tell(String id, String outcome, String detail) {
    System.out.printf(
        "{\"check\":\"%s\",\"outcome\":\"%s\",\"detail\":\"%s\"}%n", id, outcome, escaped(detail));
  }

  private static String escaped(String text) {
    StringBuilder json = new StringBuilder();
    for (char each : text.toCharArray()) {
      if (each == '"' || each == '\\') json.append('\\').append(each);
      else if (each < ' ') json.append(String.format("\\u%04x", (int) each));
      else json.append(each);
    }
    return json.toString();
  }

  public static void absent(String why) {
    throw new Absence(why);
  }

  public static void fail(String what) {
    throw new Failure(what);
  }

  public static void isTrue(boolean is, String what) {
    if (!is) fail(what + ": it is not");
  }

  public static void equal(String what, Object got, Object want) {
    if (!Objects.deepEquals(got, want))
      fail(what + ": got " + brief(got) + ", want " + brief(want));
  }

  private static String brief(Object value) {
    String text = value instanceof Object[] array ? List.of(array).toString() : String.valueOf(value);
    return text.length() > 300 ? text.substring(0, 300) + "..." : text;
  }

  @FunctionalInterface
  public interface Statement {
    void run() throws SQLException;
  }

  /** The error, which must be of this SQLSTATE. */
  public static SQLException sqlState(String what, String want, Statement statement) {
    try {
      statement.run();
    } catch (SQLException error) {
      if (!want.equals(error.getSQLState()))
        fail(what + ": got " + error.getSQLState() + " (" + error.getMessage() + "), want " + want);
      return error;
    }
    throw new Failure(what + ": no error, want " + want);
  }

  /** A variable that the runner sets. */
  public static String environment(String name) {
    String value = System.getenv(name);
    if (value != null) return value;
    System.err.println(name + " is not set: start this program by npm run test:compat");
    System.exit(2);
    return "";
  }
}
