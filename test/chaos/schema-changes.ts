/**
 * DDL of a bank in business, through any of its proxies, and what it was promised: whoever was told
 * that a change is made finds it through every proxy, at once. One change after the other, as a
 * migration tool makes them; of one whose answer is lost, nothing is expected until it is undone.
 */
import { ConnectionLost, ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { ACCOUNTS, CATALOG, DATABASES } from "../failures/kills/bank.ts";
import type { Ledger } from "../failures/kills/ledger.ts";
import { OUTAGE } from "../failures/kills/teller.ts";

export const SCHEMA_CHANGES = [
  "add column",
  "drop column",
  "replace view",
  "create index",
  "drop index",
] as const;
export type SchemaChange = (typeof SCHEMA_CHANGES)[number];

/** Through one proxy, and looked at through another, which may be the same. */
export interface PlannedChange {
  readonly change: SchemaChange;
  readonly through: number;
  readonly lookThrough: number;
}

export type ChangeOutcome = "made" | "refused" | "unknown";

/** Transactions of a proxy that is stopped keep their locks; a change waits so long, and everybody behind it. */
const LOCK_TIMEOUT = "2s";
const LOCK_NOT_AVAILABLE = "55P03";
const DEADLOCK_DETECTED = "40P01";
/** A bank in business leaves no table alone for long: as a migration tool does, it is tried again. */
const ATTEMPTS = 6;
/** While a proxy is cut off from the control schema. */
const UNCONFIRMED = "ddl_unconfirmed";
const UNDEFINED_COLUMN = "42703";
const IN_DOUBT = "08007";
const VIEW_ROWS_MAX = 1_000;

type Presence = "there" | "gone" | "unknown";

interface View {
  readonly edition: number;
  readonly rows: number;
}

interface Step {
  readonly change: SchemaChange;
  readonly sql: string;
  /** What is so then. */
  readonly made: () => void;
  /** Nobody knows whether it is so. */
  readonly doubted: () => void;
}

export interface SchemaOwner {
  serverOf(database: string): TestPostgres;
  connect(preferred: number): Promise<RawClient>;
}

export class SchemaChanges {
  readonly #bank: SchemaOwner;
  readonly #ledger: Ledger;
  readonly #columns = new Map<string, Presence>();
  readonly #indexes = new Map<string, Presence>();
  #view: View | "none" | "unknown" = "none";
  #number = 0;

  constructor(bank: SchemaOwner, ledger: Ledger) {
    this.#bank = bank;
    this.#ledger = ledger;
  }

  /** If it was made, it is looked at. What is to be dropped and is not there is made instead. */
  async make({
    change,
    through,
    lookThrough,
  }: PlannedChange): Promise<{ readonly change: SchemaChange; readonly outcome: ChangeOutcome }> {
    const step = this.#step(change);
    const outcome = await this.#run(step.sql, through);
    if (outcome === "made") step.made();
    if (outcome === "unknown") step.doubted();
    if (outcome === "made") await this.#look(lookThrough, step.sql);
    return { change: step.change, outcome };
  }

  /** Throws what the client was told where it could not be asked. */
  async expectOf(client: RawClient, where: string): Promise<void> {
    for (const [column, presence] of this.#columns) {
      if (presence === "there") await this.#expectColumn(client, column, where);
      if (presence === "gone") await this.#expectNoColumn(client, column, where);
    }
    await this.#expectView(client, where);
  }

  /** Nothing is under way any more: all databases have the same, and what was promised. */
  async differences(): Promise<readonly string[]> {
    const found: string[] = [];
    const inCatalog = await namesIn(this.#bank.serverOf(CATALOG), CATALOG);
    for (const database of [CATALOG, ...DATABASES]) {
      const names = await namesIn(this.#bank.serverOf(database), database);
      for (const [name, presence] of [...this.#columns, ...this.#indexes]) {
        const isThere = names.has(name);
        if (presence === "there" && !isThere) found.push(`${database} lacks ${name}`);
        if (presence === "gone" && isThere)
          found.push(`${database} has ${name}, which was dropped`);
        if (presence === "unknown" && isThere !== inCatalog.has(name))
          found.push(`${database} and ${CATALOG} differ in ${name}`);
      }
    }
    return found;
  }

  #step(change: SchemaChange): Step {
    switch (change) {
      case "add column": {
        const name = `note_${this.#next()}`;
        const sql = `ALTER TABLE accounts ADD COLUMN ${name} integer NOT NULL DEFAULT ${this.#number}`;
        return presenceStep(change, sql, this.#columns, name, "there");
      }
      case "drop column": {
        const name = dropped(this.#columns);
        if (name === undefined) return this.#step("add column");
        const sql = `ALTER TABLE accounts DROP COLUMN IF EXISTS ${name}`;
        return presenceStep(change, sql, this.#columns, name, "gone");
      }
      case "create index": {
        const name = `by_peer_${this.#next()}`;
        return presenceStep(
          change,
          `CREATE INDEX ${name} ON transfers (peer)`,
          this.#indexes,
          name,
          "there",
        );
      }
      case "drop index": {
        const name = dropped(this.#indexes);
        if (name === undefined) return this.#step("create index");
        return presenceStep(change, `DROP INDEX IF EXISTS ${name}`, this.#indexes, name, "gone");
      }
      case "replace view":
        return this.#viewStep();
    }
  }

  #viewStep(): Step {
    const edition = this.#next();
    const rows = 1 + ((edition * 37) % VIEW_ROWS_MAX);
    return {
      change: "replace view",
      sql: `CREATE OR REPLACE VIEW first_accounts AS SELECT id, amount, ${edition} AS edition FROM accounts WHERE id <= ${rows}`,
      made: () => {
        this.#view = { edition, rows };
      },
      doubted: () => {
        this.#view = "unknown";
      },
    };
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }

  async #run(sql: string, through: number): Promise<ChangeOutcome> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#attempt(sql, through);
      if (outcome !== "not now") return outcome;
      if (attempt === ATTEMPTS) return "refused";
    }
  }

  async #attempt(sql: string, through: number): Promise<ChangeOutcome | "not now"> {
    let client: RawClient | undefined;
    let isSent = false;
    try {
      client = await this.#bank.connect(through);
      await client.query(`SET lock_timeout = '${LOCK_TIMEOUT}'`);
      isSent = true;
      await client.query(sql);
      return "made";
    } catch (error) {
      const code = this.#note(error, sql);
      if (code === LOCK_NOT_AVAILABLE || code === DEADLOCK_DETECTED) return "not now";
      return isSent && (code === undefined || code === IN_DOUBT) ? "unknown" : "refused";
    } finally {
      client?.destroy();
    }
  }

  async #look(through: number, sql: string): Promise<void> {
    let client: RawClient | undefined;
    try {
      client = await this.#bank.connect(through);
      await this.expectOf(client, `after ${sql}`);
    } catch (error) {
      this.#note(error, `looking after ${sql}`);
    } finally {
      client?.destroy();
    }
  }

  async #expectColumn(client: RawClient, column: string, where: string): Promise<void> {
    const [, value = ""] = column.split("_");
    const [row] = await client.query(`SELECT count(*) FROM accounts WHERE ${column} = ${value}`);
    if (row?.[0] !== String(ACCOUNTS))
      this.#ledger.faults.push(`${where}: ${row?.[0]} accounts have ${column} = ${value}`);
  }

  async #expectNoColumn(client: RawClient, column: string, where: string): Promise<void> {
    try {
      await client.query(`SELECT ${column} FROM accounts WHERE id = 1`);
      this.#ledger.faults.push(`${where}: ${column} is answered, which was dropped`);
    } catch (error) {
      if (!(error instanceof ServerError) || error.fields["C"] !== UNDEFINED_COLUMN) throw error;
    }
  }

  async #expectView(client: RawClient, where: string): Promise<void> {
    if (typeof this.#view === "string") return;
    const { edition, rows } = this.#view;
    const sql = "SELECT count(*), min(edition), max(edition) FROM first_accounts";
    const [row] = await client.query(sql);
    const expected = [rows, edition, edition].join(" ");
    if (row?.join(" ") !== expected)
      this.#ledger.faults.push(`${where}: the view has ${row?.join(" ")}, and not ${expected}`);
  }

  /** The SQLSTATE; undefined where the connection was lost. What is no outage is a fault. */
  #note(error: unknown, what: string): string | undefined {
    if (error instanceof ServerError) {
      const code = error.fields["C"] ?? "";
      this.#ledger.noteError(code);
      const isRefusal = code === LOCK_NOT_AVAILABLE || error.fields["R"] === UNCONFIRMED;
      if (!OUTAGE.test(code) && !isRefusal)
        this.#ledger.faults.push(`${what}: ${code} ${error.message}`);
      return code;
    }
    if (error instanceof ConnectionLost && error.message.startsWith("no answer"))
      this.#ledger.faults.push(`${what}: ${error.message}`);
    return undefined;
  }
}

function presenceStep(
  change: SchemaChange,
  sql: string,
  all: Map<string, Presence>,
  name: string,
  then: "there" | "gone",
): Step {
  return { change, sql, made: () => all.set(name, then), doubted: () => all.set(name, "unknown") };
}

/** The oldest that is, or may be, there. */
function dropped(all: ReadonlyMap<string, Presence>): string | undefined {
  return [...all].find(([, presence]) => presence !== "gone")?.[0];
}

/** Of the accounts' columns and all indexes. */
async function namesIn(server: TestPostgres, database: string): Promise<ReadonlySet<string>> {
  const { rows } = await server.query(
    database,
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'accounts'::regclass AND attnum > 0 AND NOT attisdropped
     UNION ALL SELECT indexname FROM pg_indexes WHERE schemaname = 'public'`,
  );
  return new Set(rows.map(({ name }) => String(name)));
}
