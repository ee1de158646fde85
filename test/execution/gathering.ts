/**
 * Runs physical plans by the executor as a session does, against real servers, with no planner
 * and no client in between: a plan is written by the test.
 */
import { databaseName } from "../../base/ids.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { DATABASE_GATHER_BYTES_MAX_DEFAULT } from "../../base/limits.ts";
import { Metrics } from "../../base/metrics.ts";
import type { TransactionModes } from "../../planner/session-plan.ts";
import type { BoundPull, Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import { plainSql } from "../../planner/sql-template.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { describe } from "../../proxy/execution/describe.ts";
import { Executor } from "../../proxy/execution/executor.ts";
import type { FragmentProtocol } from "../../proxy/execution/fragment-request.ts";
import { InDoubt } from "../../proxy/execution/in-doubt.ts";
import { LockHolders } from "../../proxy/execution/lock-holders.ts";
import { Holds } from "../../proxy/execution/holds.ts";
import { Pauses } from "../../proxy/execution/pauses.ts";
import type { ResultEvent } from "../../proxy/execution/result-event.ts";
import { SessionBackends } from "../../proxy/execution/session-backends.ts";
import { Transaction } from "../../proxy/execution/transaction.ts";
import { TwoPhaseCommit } from "../../proxy/execution/two-phase-commit.ts";
import { decodeDataRow } from "../../proxy/protocol/backend/data-row.ts";
import type { ColumnDescription } from "../../proxy/protocol/backend/row-description.ts";
import { CatalogSource } from "../../proxy/topology/catalog-source.ts";
import { OidTranslations } from "../../proxy/topology/oid-translation.ts";
import { USUAL_SEQUENCE_BLOCKS } from "../../shardmap/shard-map.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { TestPostgres } from "../support/postgres.ts";

const NO_HOLDS = new Holds({
  now: () => performance.now(),
  random: Math.random,
  namesOf: (placement) => [placement],
  metrics: new Metrics(),
  onLeaseLost: () => undefined,
  waitsForDemands: false,
});
const NO_PAUSES = new Pauses({ waitMs: 1_000, waitersMax: 1 });

export const MAIN = databaseName("main");
export const NO_MODES: TransactionModes = {
  isolation: undefined,
  readOnly: undefined,
  deferrable: undefined,
};

export interface PullText {
  readonly table: string;
  readonly columns: readonly string[];
  readonly shape: string;
  /** Texts by database, in the order they are asked in. */
  readonly from: Readonly<Record<string, string | readonly string[]>>;
  readonly gather?: BoundPull["gather"];
  readonly primaryKey?: readonly string[];
}

export const ALL_ROWS: BoundPull["gather"] = {
  kind: "gather",
  gather: { kind: "concat", limit: undefined },
  count: undefined,
  offset: 0n,
};

export function fragment(database: string, sql: string): Fragment {
  return {
    database: databaseName(database),
    placementIds: [`${database}.public`],
    rendered: plainSql(sql),
    rowIndexes: undefined,
  };
}

export function gatherPlan(pulls: readonly PullText[], finish: string): PhysicalPlan {
  return {
    mapVersion: 1,
    access: "read",
    fragments: [fragment("main", finish)],
    gather: { kind: "passThrough" },
    returnsRows: true,
    usesOwnTables: false,
    snapshot: "own",
    overflow: undefined,
    pulls: pulls.map((pull) => ({
      table: pull.table,
      columns: pull.columns,
      shape: plainSql(pull.shape),
      fragments: Object.entries(pull.from).flatMap(([database, texts]) =>
        [texts].flat().map((sql) => fragment(database, sql)),
      ),
      gather: pull.gather ?? ALL_ROWS,
      primaryKey: pull.primaryKey ?? [],
    })),
  };
}

export interface Answer {
  readonly columns: readonly ColumnDescription[];
  readonly rows: readonly (readonly (Buffer | null)[])[];
  readonly tag: string | undefined;
  readonly notices: number;
}

export interface RunOptions {
  /** The client's own statement: what its columns are described by. */
  readonly as: string;
  readonly transaction?: Transaction;
  readonly protocol?: FragmentProtocol;
  readonly parameterTypes?: readonly number[];
  readonly signal?: AbortSignal;
  /** Called between the events, as a slow client would be waited for. */
  readonly onEvent?: (event: ResultEvent) => void | Promise<void>;
}

/** What one proxy process and one session of it are made of. */
export class Gathering {
  readonly backends: Backends;
  readonly metrics = new Metrics();
  readonly session: SessionBackends;
  readonly #twoPhase: TwoPhaseCommit;
  readonly #translations: OidTranslations;
  readonly #catalog: Awaited<ReturnType<CatalogSource["load"]>>;
  bytesMax = DATABASE_GATHER_BYTES_MAX_DEFAULT;

  static async open(servers: Readonly<Record<string, TestPostgres>>): Promise<Gathering> {
    const names = Object.keys(servers).map(databaseName);
    const addresses = new Map(
      names.map((name) => [name, parseBackendAddress(servers[name]?.url(name) ?? "")] as const),
    );
    const backends = new Backends(addresses, { pool: { waitMs: 5_000 }, drainMs: 1_000 });
    const catalog = await new CatalogSource(backends).load(MAIN);
    const map = plainMap(names);
    return new Gathering(backends, catalog, await OidTranslations.load(map, catalog, backends));
  }

  private constructor(
    backends: Backends,
    catalog: Awaited<ReturnType<CatalogSource["load"]>>,
    translations: OidTranslations,
  ) {
    this.backends = backends;
    this.#catalog = catalog;
    this.#translations = translations;
    const inDoubt = new InDoubt(backends);
    const instance = Math.random().toString(36).slice(2);
    this.#twoPhase = new TwoPhaseCommit(backends, inDoubt, () => instance);
    this.session = this.openSession();
  }

  /** `settings`: SET statements that its client has made. */
  openSession(settings = ""): SessionBackends {
    const inDoubt = new InDoubt(this.backends);
    const script = {
      tag: settings,
      sql: settings,
      isOtherRole: false,
      customNames: new Set<string>(),
    };
    return new SessionBackends(this.backends, inDoubt, () => script, new LockHolders(), NO_PAUSES);
  }

  begin(modes: TransactionModes = NO_MODES, session = this.session): Transaction {
    return new Transaction(session, this.#twoPhase, modes, MAIN);
  }

  async run(plan: PhysicalPlan, options: RunOptions, session = this.session): Promise<Answer> {
    const signal = options.signal ?? new AbortController().signal;
    const protocol = options.protocol ?? { kind: "simple" };
    const executor = new Executor(session, {
      translation: (database) => this.#translations.of(database),
      types: { byOid: this.#catalog.types, extraFloatDigits: 1 },
      catalogEpoch: 1,
      catalog: MAIN,
      databaseGatherBytesMax: this.bytesMax,
      metrics: this.metrics,
      use: NO_HOLDS.newUse(),
    });
    const output = await this.#describe(options, protocol);
    const describeRows = protocol.kind === "simple";
    const request = { plan, protocol, output, describe: describeRows };
    const rows: (readonly (Buffer | null)[])[] = [];
    let columns: readonly ColumnDescription[] = [];
    let tag: string | undefined;
    let notices = 0;
    for await (const event of executor.execute(request, options.transaction, signal)) {
      if (event.kind === "columns") columns = event.columns;
      else if (event.kind === "rows") rows.push(...readRows(event.rows.bytes));
      else if (event.kind === "complete") tag = event.tag;
      else if (event.kind === "notice") notices += 1;
      await options.onEvent?.(event);
    }
    return { columns, rows, tag, notices };
  }

  async #describe(
    { as, parameterTypes = [] }: RunOptions,
    protocol: FragmentProtocol,
  ): Promise<readonly ColumnDescription[]> {
    const connection = await this.backends.acquire(MAIN, AbortSignal.timeout(5_000));
    try {
      const { columns = [] } = await describe(connection, as, parameterTypes, { of: "statement" });
      if (protocol.kind === "simple") return columns;
      const [format = "text"] = protocol.resultFormats;
      return columns.map((column) => ({ ...column, format }));
    } finally {
      this.backends.release(connection);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.backends.close();
  }
}

function readRows(bytes: Buffer): (readonly (Buffer | null)[])[] {
  const rows: (readonly (Buffer | null)[])[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    rows.push(decodeDataRow(bytes.subarray(at + 5, end)).values);
    at = end;
  }
  return rows;
}

export function rowTexts(answer: Answer): (string | null)[][] {
  return answer.rows.map((row) => row.map((value) => value?.toString("utf8") ?? null));
}

function plainMap(names: readonly DatabaseName[]): ShardMap {
  return {
    version: 1,
    catalog: MAIN,
    text: "",
    canonicalSchema: "public",
    databases: new Map(names.map((name) => [name, { name, server: { kind: "embedded" } }])),
    colocations: new Map(),
    groups: new Map(),
    referenceTables: new Set(),
    coalescedTables: new Set(),
    sequenceBlocks: USUAL_SEQUENCE_BLOCKS,
    unlistedTables: "catalog",
    tables: new Map(),
  };
}
