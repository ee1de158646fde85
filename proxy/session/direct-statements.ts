/**
 * A session's prepared statements, as the direct path finds them: by the very bytes of the Parse
 * that came last, and each with the route of its plan for as long as nothing has changed that the
 * plan was made of. What is not found goes the long way.
 */
import { DIRECT_PARSE_BYTES_MAX, DIRECT_TEXTS_MAX } from "../../base/limits.ts";
import type { TransactionPlan } from "../../planner/session-plan.ts";
import type { Description } from "../execution/describe.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { encodeQuery } from "../protocol/frontend/query.ts";
import type { DirectBind } from "./direct-batch.ts";
import { isSame, readParse, readQuery } from "./direct-batch.ts";
import { mayRelayBinary } from "./direct-columns.ts";
import { directPlan, DirectRoute } from "./direct-route.ts";
import type { Ground, Routed } from "./direct-route.ts";
import { DirectText } from "./direct-text.ts";
import type { TextTarget } from "./direct-text.ts";
import type { PreparedStatement, PreparedStatements } from "./prepared-statements.ts";
import type { SessionServices } from "./session-services.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface StatementSession {
  readonly services: SessionServices;
  readonly runner: StatementRunner;
  readonly prepared: PreparedStatements;
}

/** A Parse of the unnamed statement, and what it makes. */
interface Parsed extends Ground {
  readonly bytes: Buffer;
  readonly statement: PreparedStatement;
  readonly description: Description;
}

/** The texts of a template, or one that begins or ends a transaction. */
type Known = (
  | { readonly text: DirectText }
  | { readonly sql: string; readonly query: Buffer; readonly command: TransactionPlan }
) & { readonly used: () => void };

/** A Query of the simple protocol with a plan of its own, or of a template. */
export type FoundQuery = TextTarget | { readonly route: DirectRoute; readonly sql: string };

/** What a Query of the simple protocol is. */
export type Found = FoundQuery | { readonly command: TransactionPlan; readonly sql: string };

const NO_TYPES: readonly number[] = [];

export class DirectStatements {
  readonly #session: StatementSession;
  /** Of the Parse that came last: most are followed by another of the same. */
  #parsed: Parsed | undefined;
  /** Of the last few texts of the simple protocol that differ: most come again in the same order. */
  #known: Known[] = [];
  #knownOn: Ground | undefined;
  /** Which of them came behind the one that came last. */
  #next = 0;

  constructor(session: StatementSession) {
    this.#session = session;
  }

  /** What the Parse `bytes[start, end)` makes, where all of it is known. */
  parsed(bytes: Buffer, start: number, end: number): PreparedStatement | undefined {
    if (!this.#session.prepared.hasRoom) return undefined;
    const last = this.#parsed;
    if (last === undefined || !isSame(last.bytes, bytes, start, end) || !this.#isCurrent(last))
      return this.#parse(bytes, start, end);
    // A new statement, whatever the client was told of the last one.
    last.statement.isTold = false;
    last.statement.description = last.description;
    return last.statement;
  }

  /** Undefined where this Bind of it is not for the direct path. */
  routeOf(statement: PreparedStatement, bind: DirectBind): DirectRoute | undefined {
    if (!isBindable(statement, bind)) return undefined;
    const known = statement.routed;
    const isCurrent =
      known?.topology.catalog.epoch === statement.catalogEpoch && this.#isCurrent(known);
    const routed = isCurrent ? known : this.#route(statement);
    routed?.used();
    return routed?.route;
  }

  /** What the Query `bytes[start, end)` is; undefined where the long way is to find out. Throws what is to be refused. */
  ofQuery(bytes: Buffer, start: number, end: number): Found | undefined {
    const found = this.#find(bytes, start, end);
    if (found !== undefined) return found;
    const sql = readQuery(bytes, start, end);
    const planned = sql === undefined ? undefined : this.#plan(sql);
    if (planned === undefined || sql === undefined) return undefined;
    if ("text" in planned) return planned.text.target(bytes, start, end);
    return "route" in planned ? { route: planned.route, sql } : planned;
  }

  /** A text that begins or ends a transaction, where it was planned before. */
  commandOf(sql: string): TransactionPlan | undefined {
    const found = this.#findCommand(sql) ?? this.#plan(sql);
    return found !== undefined && "command" in found ? found.command : undefined;
  }

  #find(bytes: Buffer, start: number, end: number): Found | undefined {
    const ground = this.#knownOn;
    if (ground === undefined || !this.#isCurrent(ground)) return undefined;
    const known = this.#known;
    const count = known.length;
    for (let tries = 0; tries < count; tries++) {
      const at = (this.#next + tries) % count;
      const each = known[at];
      if (each === undefined) continue;
      const found = foundIn(each, bytes, start, end);
      if (found === undefined) continue;
      this.#next = at + 1;
      each.used();
      return found;
    }
    return undefined;
  }

  #findCommand(sql: string): Known | undefined {
    if (this.#knownOn === undefined || !this.#isCurrent(this.#knownOn)) return undefined;
    const at = this.#known.findIndex((each) => "command" in each && each.sql === sql);
    const found = this.#known[at];
    if (found === undefined) return undefined;
    this.#next = at + 1;
    found.used();
    return found;
  }

  #plan(sql: string): Known | { readonly route: DirectRoute } | undefined {
    const { services, runner } = this.#session;
    const { environmentNow: environment, script } = runner.view;
    const context = runner.view.contextNow(NO_TYPES);
    if (environment === undefined || context === undefined) return undefined;
    const topology = services.topology();
    const ground: Ground = { topology, script, environment };
    const kept = services.planner.keepOwn(sql, context);
    if (kept !== undefined) {
      const { plan: command, used } = kept;
      if (command.kind === "transaction") {
        used();
        const query = encodeToBuffer(encodeQuery, { kind: "query", sql });
        return this.#remember({ sql, query: Buffer.from(query), command, used }, ground);
      }
      const route = DirectRoute.of(command, topology, NO_TYPES);
      if (route !== undefined) used();
      return route && { route };
    }
    const keyed = services.planner.keyed(sql, context);
    if (keyed === undefined || directPlan(keyed.text.plan) === undefined) return undefined;
    keyed.used();
    const text = new DirectText(keyed.text, topology);
    return this.#remember({ text, used: keyed.used }, ground);
  }

  /** Behind the one that came last, in the place of the one that came behind that. */
  #remember(known: Known, ground: Ground): Known {
    if (this.#knownOn === undefined || !this.#isCurrent(this.#knownOn)) this.#known = [];
    this.#knownOn = ground;
    const at = this.#known.length < DIRECT_TEXTS_MAX ? this.#known.length : this.#next;
    this.#known[at % DIRECT_TEXTS_MAX] = known;
    this.#next = (at % DIRECT_TEXTS_MAX) + 1;
    return known;
  }

  #isCurrent({ topology, script, environment }: Ground): boolean {
    const { services, runner } = this.#session;
    return (
      topology === services.topology() &&
      script === runner.view.script &&
      environment === runner.view.environmentNow
    );
  }

  #parse(bytes: Buffer, start: number, end: number): PreparedStatement | undefined {
    const { services, runner } = this.#session;
    const parse = readParse(bytes, start, end);
    const { environmentNow: environment, script } = runner.view;
    if (parse === undefined || environment === undefined) return undefined;
    const { sql, parameterTypeOids } = parse;
    const description = runner.descriptions.known(sql, parameterTypeOids);
    if (description === undefined) return undefined;
    const topology = services.topology();
    const plain = { isEmpty: false, endsTransaction: false, answersAs: undefined, isTold: false };
    const { epoch: catalogEpoch } = topology.catalog;
    const statement: PreparedStatement = { name: "", sql, ...plain, description, catalogEpoch };
    if (end - start <= DIRECT_PARSE_BYTES_MAX) {
      const kept = Buffer.from(bytes.subarray(start, end));
      this.#parsed = { bytes: kept, statement, description, topology, script, environment };
    }
    return statement;
  }

  #route(statement: PreparedStatement): Routed | undefined {
    const { services, runner } = this.#session;
    const { description, sql, catalogEpoch } = statement;
    const { environmentNow: environment, script } = runner.view;
    const context = runner.view.contextNow(description.parameterTypes);
    if (environment === undefined || context?.catalog.epoch !== catalogEpoch) return undefined;
    const kept = services.planner.keep(sql, context);
    const topology = services.topology();
    const route = DirectRoute.of(kept?.plan, topology, description.parameterTypes);
    if (kept === undefined || route === undefined) return undefined;
    const routed = { route, used: kept.used, topology, script, environment };
    statement.routed = routed;
    return routed;
  }
}

function foundIn(known: Known, bytes: Buffer, start: number, end: number): Found | undefined {
  if ("text" in known) return known.text.target(bytes, start, end);
  return isSame(known.query, bytes, start, end) ? known : undefined;
}

function isBindable(
  { description, isEmpty, endsTransaction, answersAs }: PreparedStatement,
  { parameterCount, resultFormats }: DirectBind,
): boolean {
  const columnCount = description.columns?.length ?? 0;
  return (
    !isEmpty &&
    !endsTransaction &&
    answersAs === undefined &&
    parameterCount === description.parameterTypes.length &&
    (resultFormats.length <= 1 || resultFormats.length === columnCount) &&
    mayRelayBinary(description, resultFormats)
  );
}
