/**
 * Random SELECTs over users, orders, prefs (sharded by id and user_id) and countries: joins
 * of every kind, sub-selects in FROM, WHERE and the select list, WITH. All columns are
 * bigint but one, so that any two may be compared; most comparisons are of the wrong columns.
 */
import fc from "fast-check";

interface Item {
  readonly alias: string;
  readonly columns: readonly string[];
}

const TABLES: Readonly<Record<string, readonly string[]>> = {
  users: ["id", "ref"],
  orders: ["user_id", "id", "buyer"],
  prefs: ["user_id", "theme"],
  countries: ["id", "code"],
};

const JOINS = ["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];

/** Shrinks by its choices: each is an index into a list, and the first is the plainest. */
export function randomSelect(): fc.Arbitrary<string> {
  return fc
    .array(fc.nat(1_000), { minLength: 60, maxLength: 60 })
    .map((choices) => new SelectWriter(choices).statement());
}

class SelectWriter {
  readonly #choices: readonly number[];
  #at = 0;
  #aliases = 0;

  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  statement(): string {
    if (this.#chance(8)) {
      const columns = ["k", "v"];
      const body = this.#derived([]);
      return `WITH w(k, v) AS (${body}) ${this.#select([], 0, [{ alias: "w", columns }])}`;
    }
    return this.#select([], 0, []);
  }

  #next(): number {
    return this.#choices[this.#at++ % this.#choices.length] ?? 0;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#next() % list.length] as T;
  }

  #chance(outOf: number): boolean {
    return this.#next() % outOf === outOf - 1;
  }

  #select(outer: readonly Item[], depth: number, withQueries: readonly Item[]): string {
    const items: Item[] = [];
    let merged: string | undefined;
    let from = this.#item(items, outer, depth, withQueries);
    for (let joins = this.#next() % 4; joins > 0; joins--) {
      const before = [...items];
      const right = this.#item(items, [...outer, ...before], depth, withQueries);
      const last = items.at(-1);
      const on = this.#condition(last === undefined ? items : [last, ...before], outer);
      const isShared = last !== undefined && [last, ...before].filter(hasUserId).length === 2;
      const isUsing = isShared && hasUserId(last) && this.#chance(2);
      from = `${from} ${this.#pick(JOINS)} ${right} ${isUsing ? "USING (user_id)" : `ON ${on}`}`;
      if (isUsing) merged = "user_id";
    }
    if (merged !== undefined && this.#chance(2)) items.push({ alias: "", columns: [merged] });
    const where = this.#where(items, outer, depth, withQueries);
    const list = depth > 0 ? "1" : this.#list(items, depth, withQueries);
    return `SELECT ${list} FROM ${from}${where}`;
  }

  #list(items: readonly Item[], depth: number, withQueries: readonly Item[]): string {
    if (!this.#chance(5)) return "*";
    return `*, (SELECT count(*) FROM (${this.#select(items, depth + 1, withQueries)}) AS counted)`;
  }

  #item(
    items: Item[],
    outer: readonly Item[],
    depth: number,
    withQueries: readonly Item[],
  ): string {
    const alias = `t${this.#aliases++}`;
    const choice = this.#next() % 12;
    if (choice === 11 && withQueries.length > 0) {
      const query = this.#pick(withQueries);
      items.push({ alias, columns: query.columns });
      return `${query.alias} AS ${alias}`;
    }
    if (choice >= 9 && depth < 2) {
      const lateral = choice === 10;
      const body = this.#derived(lateral ? outer : []);
      items.push({ alias, columns: ["k", "v"] });
      return `${lateral ? "LATERAL " : ""}(${body}) AS ${alias}(k, v)`;
    }
    const name = this.#pick(["users", "orders", "users", "orders", "prefs", "countries"]);
    items.push({ alias, columns: TABLES[name] ?? [] });
    return `${name} AS ${alias}`;
  }

  /** A sub-select of two columns. */
  #derived(outer: readonly Item[]): string {
    const alias = `t${this.#aliases++}`;
    const name = this.#pick(["orders", "users", "prefs", "countries"]);
    const columns = TABLES[name] ?? [];
    const item = { alias, columns };
    const [first, second] = [this.#column([item]), this.#column([item])];
    const where = this.#chance(2) ? ` WHERE ${this.#condition([item, ...outer], outer)}` : "";
    switch (this.#next() % 9) {
      case 8:
        return this.#fullJoin();
      case 5:
        return `SELECT ${first}, count(*) FROM ${name} AS ${alias}${where} GROUP BY ${first}`;
      case 6:
        return `SELECT DISTINCT ${first}, ${second} FROM ${name} AS ${alias}${where}`;
      case 7:
        return `SELECT ${first}, ${second} FROM ${name} AS ${alias}${where} ORDER BY ${columns.map((column) => `${alias}.${column}`).join(", ")} LIMIT 2`;
      default:
        return `SELECT ${first}, ${second} FROM ${name} AS ${alias}${where}`;
    }
  }

  /** Groups and duplicates of a FULL JOIN, by its merged column or by either side's. */
  #fullJoin(): string {
    const [left, right] = [`t${this.#aliases++}`, `t${this.#aliases++}`];
    const join = `orders AS ${left} FULL JOIN prefs AS ${right} USING (user_id)`;
    const key = this.#pick(["user_id", `${left}.user_id`, `${right}.user_id`]);
    const where = this.#chance(3) ? ` WHERE ${key} = ${1 + (this.#next() % 8)}` : "";
    switch (this.#next() % 4) {
      case 0:
        return `SELECT ${key}, count(*) FROM ${join}${where} GROUP BY ${key}`;
      case 1:
        return `SELECT ${left}.user_id, count(*) FROM ${join}${where} GROUP BY ${left}.user_id, ${right}.user_id`;
      case 2:
        return `SELECT DISTINCT ${key}, ${left}.buyer FROM ${join}${where}`;
      default:
        return `SELECT ${key}, ${right}.theme FROM ${join}${where}`;
    }
  }

  #where(
    items: readonly Item[],
    outer: readonly Item[],
    depth: number,
    withQueries: readonly Item[],
  ): string {
    const conditions: string[] = [];
    for (let count = this.#next() % 3; count > 0; count--) {
      conditions.push(
        depth < 2 && this.#chance(3)
          ? this.#subCondition(items, outer, depth, withQueries)
          : this.#condition(items, outer),
      );
    }
    return conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  }

  #subCondition(
    items: readonly Item[],
    outer: readonly Item[],
    depth: number,
    withQueries: readonly Item[],
  ): string {
    const visible = [...items, ...outer];
    switch (this.#next() % 4) {
      case 0:
        return `EXISTS (${this.#select(visible, depth + 1, withQueries)})`;
      case 1:
        return `NOT EXISTS (${this.#select(visible, depth + 1, withQueries)})`;
      case 2:
        return `${this.#column(items)} IN (SELECT k FROM (${this.#derived([])}) AS s(k, v))`;
      default: {
        const name = this.#pick(["orders", "users", "prefs"]);
        return `${this.#column(items)} ${this.#pick(["IN", "NOT IN"])} (SELECT ${this.#pick(TABLES[name] ?? [])} FROM ${name})`;
      }
    }
  }

  #condition(items: readonly Item[], outer: readonly Item[]): string {
    const visible = [...items, ...outer];
    const [first = items[0], second = first] = items;
    const equality = `${this.#column(first === undefined ? [] : [first])} = ${this.#column(second === undefined ? [] : [second])}`;
    switch (this.#next() % 10) {
      case 0:
      case 1:
      case 2:
        return equality;
      case 3:
        return `${equality} AND ${this.#column(visible)} = ${this.#column(visible)}`;
      case 4:
        return `${this.#column(visible)} = ${1 + (this.#next() % 8)}`;
      case 5:
        return `${equality} AND ${this.#column(visible)} = ${1 + (this.#next() % 8)}`;
      case 6:
        return `${this.#column(visible)} IN (${1 + (this.#next() % 8)}, ${1 + (this.#next() % 8)})`;
      case 7:
        return `(${equality} OR ${this.#column(visible)} = ${this.#next() % 8})`;
      case 8:
        return `${this.#column(visible)} IS NULL`;
      default:
        return `${this.#column(visible)} = ${this.#column(visible)}`;
    }
  }

  /** The key more often than not. */
  #column(items: readonly Item[]): string {
    if (items.length === 0) return "NULL::bigint";
    const { alias, columns } = this.#pick(items);
    const column = this.#chance(3) ? this.#pick(columns) : columns[0];
    return alias === "" ? (column ?? "") : `${alias}.${column ?? ""}`;
  }
}

function hasUserId({ alias, columns }: Item): boolean {
  return alias !== "" && columns.includes("user_id");
}
