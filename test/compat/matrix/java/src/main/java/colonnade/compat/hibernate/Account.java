package colonnade.compat.hibernate;

import jakarta.persistence.CascadeType;
import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.OneToMany;
import jakarta.persistence.OrderBy;
import jakarta.persistence.Table;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import org.hibernate.annotations.DynamicUpdate;

/** Sharded by its id, which the application gives. */
@Entity
@Table(name = "accounts")
@DynamicUpdate
public class Account {
  @Id Long id;

  @Column(nullable = false)
  String owner;

  BigDecimal balance = BigDecimal.ZERO;
  String note;

  @OneToMany(mappedBy = "account", cascade = CascadeType.ALL, orphanRemoval = true)
  @OrderBy("amount DESC")
  List<Entry> entries = new ArrayList<>();

  protected Account() {}

  Account(long id, String owner) {
    this.id = id;
    this.owner = owner;
  }

  void add(long number, String amount) {
    entries.add(new Entry(this, number, new BigDecimal(amount)));
  }
}
