package colonnade.compat.hibernate;

import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import jakarta.persistence.Version;

/** A table that the map does not list, which Hibernate makes by itself, with a sequence for its ids. */
@Entity
@Table(name = "features")
public class Feature {
  @Id
  @GeneratedValue(strategy = GenerationType.SEQUENCE)
  Long id;

  @Column(unique = true, nullable = false, length = 40)
  String name;

  @Version int version;

  protected Feature() {}

  Feature(String name) {
    this.name = name;
  }
}
