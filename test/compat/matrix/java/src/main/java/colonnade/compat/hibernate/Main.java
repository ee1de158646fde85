package colonnade.compat.hibernate;

import static colonnade.compat.check.Check.equal;
import static colonnade.compat.check.Check.isTrue;

import colonnade.compat.check.Check;
import colonnade.compat.jdbc.Target;
import jakarta.persistence.LockModeType;
import jakarta.persistence.OptimisticLockException;
import java.math.BigDecimal;
import java.util.List;
import java.util.Properties;
import java.util.function.LongSupplier;
import java.util.stream.LongStream;
import org.hibernate.ScrollMode;
import org.hibernate.ScrollableResults;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.Configuration;
import org.hibernate.exception.ConstraintViolationException;

/** Hibernate over pgjdbc: entities of sharded tables, with batches and rewritten inserts. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    try (SessionFactory factory = factory("none", Account.class, Entry.class)) {
      new Check()
          .add("connect", () -> connects(factory))
          .add("transactions", () -> transactions(factory))
          .add("errors", () -> reportsErrors(factory))
          .add("entities", () -> entities(factory))
          .add("queries", () -> queries(factory))
          .add("scroll", () -> scrolls(factory))
          .add("schema", Main::schema)
          .run();
    }
  }

  private static SessionFactory factory(String ddl, Class<?>... entities) {
    Configuration configuration = new Configuration();
    Properties connection = Target.properties("reWriteBatchedInserts", "true");
    connection.forEach((name, value) -> configuration.setProperty("hibernate.connection." + name, (String) value));
    configuration.setProperty("hibernate.connection.url", Target.url());
    configuration.setProperty("hibernate.connection.username", connection.getProperty("user"));
    configuration.setProperty("hibernate.connection.pool_size", "3");
    configuration.setProperty("hibernate.jdbc.batch_size", "50");
    configuration.setProperty("hibernate.order_inserts", "true");
    configuration.setProperty("hibernate.hbm2ddl.auto", ddl);
    for (Class<?> entity : entities) configuration.addAnnotatedClass(entity);
    return configuration.buildSessionFactory();
  }

  private static void connects(SessionFactory factory) {
    factory.inSession(session -> equal("current_user",
        session.createNativeQuery("SELECT cast(current_user AS text)", String.class).getSingleResult(), Check.environment("PGUSER")));
  }

  private static long noted(SessionFactory factory, String note) {
    return factory.fromSession(session ->
        session.createQuery("SELECT count(a) FROM Account a WHERE a.note = :note", Long.class).setParameter("note", note).getSingleResult());
  }

  private static void note(Session session, String note) {
    for (long id = 101; id <= 108; id += 1) session.find(Account.class, id).note = note;
  }

  private static void transactions(SessionFactory factory) {
    factory.inTransaction(session -> note(session, "first"));
    equal("committed", noted(factory, "first"), 8L);
    factory.inSession(session -> {
      session.beginTransaction();
      note(session, "second");
      session.flush();
      session.getTransaction().rollback();
    });
    equal("rolled back", noted(factory, "second"), 0L);
    factory.inTransaction(session -> {
      Account account = session.find(Account.class, 101L, LockModeType.PESSIMISTIC_WRITE);
      account.balance = account.balance.add(BigDecimal.ONE);
      session.flush();
      session.refresh(account);
      equal("balance", account.balance, new BigDecimal("101.00"));
    });
  }

  private static void reportsErrors(SessionFactory factory) {
    for (long id = 1; id <= 8; id += 1) {
      long taken = id;
      try {
        factory.inTransaction(session -> session.persist(new Account(taken, "twice")));
        Check.fail("a duplicate is stored");
      } catch (ConstraintViolationException violation) {
        equal("constraint", violation.getConstraintName(), "accounts_pkey");
        equal("state", violation.getSQLState(), "23505");
      }
    }
    equal("it goes on", countOf(factory), 1000L);
  }

  private static long countOf(SessionFactory factory) {
    return factory.fromSession(session ->
        session.createQuery("SELECT count(a) FROM Account a WHERE a.id <= 1000", Long.class).getSingleResult());
  }

  /** 120 accounts with two entries each in batches, changed, and removed in part. */
  private static void entities(SessionFactory factory) {
    factory.inTransaction(session -> {
      for (long id = 2001; id <= 2120; id += 1) {
        Account account = new Account(id, "hibernate");
        account.add(1, "1.50");
        account.add(2, "2.50");
        session.persist(account);
      }
    });
    LongSupplier entries = () -> factory.fromSession(session ->
        session.createQuery("SELECT count(e) FROM Entry e WHERE e.account.owner = 'hibernate'", Long.class).getSingleResult());
    equal("entries", entries.getAsLong(), 240L);
    factory.inTransaction(session -> {
      Account account = session.find(Account.class, 2042L);
      equal("entries in their order", account.entries.stream().map(each -> each.amount.toString()).toList(), List.of("2.50", "1.50"));
      account.entries.remove(0);
      account.note = "changed";
      session.remove(session.find(Account.class, 2043L));
      Entry one = session.find(Entry.class, new Entry.Key(2044L, 1L));
      equal("time", one.at.toInstant().toString(), "2024-02-29T01:02:03Z");
    });
    equal("entries", entries.getAsLong(), 237L);
    factory.inTransaction(session -> {
      Account merged = session.merge(new Account(2120L, "merged"));
      equal("merged", merged.id, 2120L);
    });
    factory.inSession(session -> equal("merged", session.find(Account.class, 2120L).owner, "merged"));
  }

  private static void queries(SessionFactory factory) {
    factory.inTransaction(session -> {
      List<Long> page = session.createQuery("SELECT a.id FROM Account a WHERE a.id <= 1000 ORDER BY a.id DESC", Long.class)
          .setFirstResult(10).setMaxResults(5).getResultList();
      equal("a page", page, LongStream.of(990, 989, 988, 987, 986).boxed().toList());
      List<Account> fetched = session.createQuery(
          "SELECT DISTINCT a FROM Account a LEFT JOIN FETCH a.entries WHERE a.id IN (1, 2, 3, 4) ORDER BY a.id", Account.class).getResultList();
      equal("join fetch", fetched.stream().map(each -> each.id).toList(), List.of(1L, 2L, 3L, 4L));
      Object[] sums = session.createQuery("SELECT count(*), sum(a.balance), min(a.id), max(a.owner) FROM Account a WHERE a.id BETWEEN 201 AND 300", Object[].class).getSingleResult();
      equal("aggregates", List.of(sums), List.of(100L, new BigDecimal("10000.00"), 201L, "owner 300"));
      int updated = session.createMutationQuery("UPDATE Account a SET a.note = 'bulk' WHERE a.id BETWEEN 201 AND 208").executeUpdate();
      equal("rows updated", updated, 8);
      List<Account> some = session.findMultiple(Account.class, List.of(5L, 6L, 7L, 8L));
      equal("several at once", some.stream().map(each -> each.owner).toList(), List.of("owner 5", "owner 6", "owner 7", "owner 8"));
      int deleted = session.createMutationQuery("DELETE FROM Account a WHERE a.id BETWEEN 205 AND 208").executeUpdate();
      equal("rows deleted", deleted, 4);
      session.getTransaction().markRollbackOnly();
    });
    equal("undone", countOf(factory), 1000L);
  }

  private static void scrolls(SessionFactory factory) {
    factory.inTransaction(session -> {
      try (ScrollableResults<Account> rows = session.createQuery("FROM Account a WHERE a.id <= 1000 ORDER BY a.id", Account.class)
          .setFetchSize(70).setReadOnly(true).scroll(ScrollMode.FORWARD_ONLY)) {
        long seen = 0;
        while (rows.next()) {
          seen += 1;
          equal("id", rows.get().id, seen);
          session.detach(rows.get());
        }
        equal("rows", seen, 1000L);
      }
    });
  }

  /** Made, found as it was made, and taken away. */
  private static void schema() {
    try (SessionFactory factory = factory("create", Feature.class)) {
      factory.inTransaction(session -> {
        for (String name : List.of("one", "two", "three")) session.persist(new Feature(name));
      });
    }
    try (SessionFactory factory = factory("update", Feature.class)) {
      List<Feature> stored = factory.fromSession(session -> session.createQuery("FROM Feature f ORDER BY f.name", Feature.class).getResultList());
      equal("names", stored.stream().map(each -> each.name).toList(), List.of("one", "three", "two"));
      equal("ids", stored.stream().map(each -> each.id).distinct().count(), 3L);
      Feature stale = stored.get(0);
      factory.inTransaction(session -> session.find(Feature.class, stale.id).name = "changed");
      stale.name = "too late";
      try {
        factory.inTransaction(session -> session.merge(stale));
        Check.fail("an old version is stored");
      } catch (OptimisticLockException expected) {
        isTrue(expected.getMessage() != null, "it says why");
      }
    }
    factory("validate", Feature.class, Account.class, Entry.class).close();
    factory("drop", Feature.class).close();
  }
}
