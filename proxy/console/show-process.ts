/** SHOW PLANS, IN_DOUBT, CONFIG and VERSION: what this process keeps, is, and was told. */
import { CONSOLE_PLAN_TEXT_LENGTH_MAX } from "../../base/limits.ts";
import type { CachedPlan } from "../../planner/plan-cache.ts";
import { DEFAULT_CONFIG } from "../config/config.ts";
import type { InDoubtReport } from "../execution/in-doubt-report.ts";
import type { ConsoleSources } from "./console-sources.ts";
import { column, show } from "./show.ts";

export const SHOW_PLANS = show<CachedPlan>({
  name: "plans",
  isOfEachWorker: true,
  help: "Plans in the cache, the ones used last at the end. Texts may hold what clients wrote into them.",
  isForAdmins: true,
  rows: ({ plans }) => plans(),
  columns: [
    column(
      "text",
      "text",
      `The statement as it was sent; its first ${CONSOLE_PLAN_TEXT_LENGTH_MAX} characters.`,
      ({ text }) => text.slice(0, CONSOLE_PLAN_TEXT_LENGTH_MAX),
    ),
    column(
      "kind",
      "text",
      "`query`, `insert`, `insertQuery`, `transaction`, `empty`.",
      ({ plan }) => plan.kind,
    ),
    column("rule", "text", "The planner's rule, as EXPLAIN names it.", ({ plan }) =>
      "rule" in plan ? plan.rule : null,
    ),
    column("search_path", "text", "The search_path it was made for.", ({ searchPath }) =>
      searchPath.join(", "),
    ),
    column("hits", "bigint", "How often it was found.", ({ hits }) => hits),
  ],
});

type InDoubtRow = InDoubtReport["transactions"][number] | InDoubtReport["unreachable"][number];

export const SHOW_IN_DOUBT = show<InDoubtRow>({
  name: "in_doubt",
  help: "Transactions of this product that are prepared in the databases now; what others have prepared is theirs, and is neither shown nor touched. Recovery decides them by itself; a commit under way has some for milliseconds. A database that cannot be asked has a row with its `error`.",
  rows: async ({ inDoubt }) => {
    const { transactions, unreachable } = await inDoubt();
    return [...transactions, ...unreachable];
  },
  columns: [
    column("database", "text", "Where it is prepared.", ({ database }) => database),
    column("name", "text", "As in pg_prepared_xacts.", (row) => ("name" in row ? row.name : null)),
    column(
      "coordinator",
      "text",
      "The database whose commit record decides it; NULL where its name is damaged.",
      (row) => ("name" in row ? row.coordinator : null),
    ),
    column("transaction", "text", "The transaction's id in that record.", (row) =>
      "name" in row ? row.transaction : null,
    ),
    column("age_ms", "bigint", "Milliseconds since it was prepared.", (row) =>
      "name" in row ? Math.round(row.age_ms) : null,
    ),
    column("error", "text", "Why the database could not be asked; else NULL.", (row) =>
      "error" in row ? row.error : null,
    ),
  ],
});

interface SettingRow {
  readonly key: string;
  readonly value: string;
  readonly byDefault: string | null;
}

export const SHOW_CONFIG = show<SettingRow>({
  name: "config",
  help: "The configuration as it was read at the start.",
  rows: ({ config }) => {
    const defaults = new Map(settingsOf(DEFAULT_CONFIG, ""));
    return [...settingsOf(config, "")].map(([key, value]) => ({
      key,
      value,
      byDefault: defaults.get(key) ?? null,
    }));
  },
  columns: [
    column("key", "text", "The field, as docs/config.md names it.", ({ key }) => key),
    column("value", "text", "Its value.", ({ value }) => value),
    column("default", "text", "What holds where the file says nothing.", (row) => row.byDefault),
    column("changeable", "text", "`no`: a restart reads it again.", () => "no"),
  ],
});

function* settingsOf(value: unknown, key: string): Iterable<readonly [string, string]> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    yield [key, Array.isArray(value) ? value.join(", ") : String(value)];
    return;
  }
  for (const [name, field] of Object.entries(value))
    if (field !== undefined) yield* settingsOf(field, key === "" ? name : `${key}.${name}`);
}

export const SHOW_VERSION = show<ConsoleSources>({
  name: "version",
  help: "The version of the proxy.",
  rows: (sources) => [sources],
  columns: [
    column("version", "text", "`Colonnade 0.1.0`.", (from) => `Colonnade ${from.process.version}`),
  ],
});
