/** WITH: one name or two, read once or twice, materialized or not, and recursive. */
import { value } from "../expressions.ts";
import { identifier } from "../model.ts";
import type { TableModel } from "../model.ts";
import { below, collationOf, freshAlias, tableRelation } from "./composing.ts";
import type { Composing, Level, NamedQuery, Output } from "./composing.ts";

/** `body` writes the query that reads the names. */
export function withNames(composing: Composing, body: (composing: Composing) => Level): Level {
  const { random } = composing.writing;
  const named: NamedQuery[] = [];
  const written: string[] = [];
  const isRecursive = random.chance(35);
  for (let count = random.integer(1, 2); count > 0; count--) {
    const name = freshAlias(composing, "q");
    const inner = { ...below(composing, []), named: [...composing.named, ...named] };
    const query = isRecursive && count === 1 ? recursive(inner, name) : plain(inner, name);
    named.push(query.named);
    written.push(query.sql);
  }
  const { sql, outputs, order } = body({ ...composing, named: [...composing.named, ...named] });
  return {
    sql: `WITH ${isRecursive ? "RECURSIVE " : ""}${written.join(", ")} ${sql}`,
    outputs,
    order,
  };
}

interface Named {
  readonly sql: string;
  readonly named: NamedQuery;
}

function plain(composing: Composing, name: string): Named {
  const { sql, outputs } = composing.level(
    { ...composing, depth: Math.max(composing.depth, 0) },
    { kind: "keyed" },
  );
  const materialized = composing.writing.random.pick([
    "",
    "",
    "MATERIALIZED ",
    "NOT MATERIALIZED ",
  ]);
  const width = composing.tables[0]?.shardKey.length ?? 0;
  return {
    sql: `${name} AS ${materialized}(${sql})`,
    named: { name, outputs, key: Array.from({ length: width }, (_, index) => index) },
  };
}

/** A chain of rows by the shard key and a number that grows, or numbers alone. */
function recursive(composing: Composing, name: string): Named {
  const { random } = composing.writing;
  const chained = composing.tables.flatMap((table) => {
    const link = table.primaryKey.find(
      (column) =>
        !table.shardKey.includes(column) &&
        ["integer", "smallint"].includes(
          table.columns.find((each) => each.name === column)?.type ?? "",
        ),
    );
    return link === undefined ? [] : [{ table, link }];
  });
  const picked = random.pickIfAny(chained);
  return picked === undefined || random.chance(25)
    ? numbers(composing, name)
    : chain(composing, name, picked.table, picked.link);
}

function numbers({ writing: { random } }: Composing, name: string): Named {
  const last = random.integer(1, 8);
  return {
    sql: `${name} (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ${name} WHERE n < ${last})`,
    named: { name, outputs: [{ name: "n", type: "integer", collation: "default" }], key: [] },
  };
}

function chain(composing: Composing, name: string, table: TableModel, link: string): Named {
  const { writing } = composing;
  const { random } = writing;
  const start = tableRelation(composing, table);
  const step = tableRelation(composing, table);
  const names = [...table.shardKey, link];
  const outputs = names.map((column, index): Output => {
    const model = table.columns.find((each) => each.name === column);
    return {
      name: `c${index}`,
      type: model?.type ?? "integer",
      collation: collationOf(model?.constraint ?? ""),
    };
  });
  const pins = random.chance(40)
    ? ` WHERE ${start.key.map(({ sql, type }) => `${sql} = ${value(writing, type)}`).join(" AND ")}`
    : "";
  const list = (qualifier: string): string =>
    names.map((column) => `${qualifier}.${identifier(column)}`).join(", ");
  const ties = table.shardKey.map(
    (column, index) => `${step.qualifier}.${identifier(column)} = ${name}.c${index}`,
  );
  // Where the link alone tells the rows of a key apart, a step by one ends without UNION.
  const isUnique = table.primaryKey.length === names.length;
  const last = `${name}.c${names.length - 1}`;
  const next = `${step.qualifier}.${identifier(link)}`;
  const [operator, grows] =
    isUnique && random.chance(50)
      ? ["UNION ALL", `${next}::bigint = ${last}::bigint + 1`]
      : ["UNION", `${next} > ${last}`];
  const columns = outputs.map((output) => output.name).join(", ");
  return {
    sql: `${name} (${columns}) AS (SELECT ${list(start.qualifier)} FROM ${start.reference}${pins} ${operator} SELECT ${list(step.qualifier)} FROM ${step.reference} JOIN ${name} ON ${ties.join(" AND ")} AND ${grows})`,
    named: { name, outputs, key: table.shardKey.map((_, index) => index) },
  };
}
