package colonnade.compat.hibernate;

import jakarta.persistence.Entity;
import jakarta.persistence.FetchType;
import jakarta.persistence.Id;
import jakarta.persistence.IdClass;
import jakarta.persistence.JoinColumn;
import jakarta.persistence.ManyToOne;
import jakarta.persistence.Table;
import java.io.Serializable;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;

/** Stands with its account: the shard key is the first part of its identity. */
@Entity
@Table(name = "entries")
@IdClass(Entry.Key.class)
public class Entry {
  /** Both parts of the primary key. */
  public record Key(Long account, Long id) implements Serializable {}

  @Id
  @ManyToOne(fetch = FetchType.LAZY)
  @JoinColumn(name = "account_id")
  Account account;

  @Id Long id;
  BigDecimal amount;
  OffsetDateTime at = OffsetDateTime.of(2024, 2, 29, 1, 2, 3, 0, ZoneOffset.UTC);

  protected Entry() {}

  Entry(Account account, long id, BigDecimal amount) {
    this.account = account;
    this.id = id;
    this.amount = amount;
  }
}
