/**
 * A session's prepared statements, as the direct path finds them: by the very bytes of the Parse
 * that came last, and each with the route of its plan for as long as nothing has changed that the
 * plan was made of. What is not found goes the long way.
 */
import { DIRECT_PARSE_BYTES_MAX, DIRECT_TEXTS_MAX } from "../../base/limits.ts";
import type { KeyedText } from "../../planner/keyed-text.ts";
import type { TransactionPlan } from "../../planner/session-plan.ts";
import type { Description } from "../execution/describe.ts";
import type { DirectBind } from "./direct-batch.ts";
import { isSame, readParse } from "./direct-batch.ts";
import { mayRelayBinary } from "./direct-columns.ts";
import { directPlan, DirectRoute, TextRoute } from "./direct-route.ts";
import type { Ground, Route, Routed } from "./direct-route.ts";
import type { PreparedStatement, PreparedStatements } from "./prepared-statements.ts";
import type { SessionServices, Topology } from "./session-services.ts";
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

/** The template of a text, or what begins or ends a transaction. */
type Known =
  | { readonly keyed: KeyedText; readonly used: () => void }
  | { readonly sql: string; readonly command: TransactionPlan; readonly used: () => void };

/** What a text of the simple protocol is. */
export type Found = { readonly route: Route } | { readonly command: TransactionPlan };

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

  /** Of a text of the simple protocol; undefined where the long way is to find out. */
  ofText(sql: string): Found | undefined {
    return this.#find(sql) ?? this.#plan(sql);
  }

  /** A text that begins or ends a transaction, where it was planned before. */
  commandOf(sql: string): TransactionPlan | undefined {
    const found = this.ofText(sql);
    return found !== undefined && "command" in found ? found.command : undefined;
  }

  #find(sql: string): Found | undefined {
    const ground = this.#knownOn;
    if (ground === undefined || !this.#isCurrent(ground)) return undefined;
    const known = this.#known;
    for (let tries = 0; tries < known.length; tries++) {
      const at = (this.#next + tries) % known.length;
      const each = known[at];
      const found = each && foundIn(each, sql, ground.topology);
      if (found === undefined) continue;
      this.#next = at + 1;
      each?.used();
      return found;
    }
    return undefined;
  }

  #plan(sql: string): Found | undefined {
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
        this.#remember({ sql, command, used }, ground);
        return { command };
      }
      const route = DirectRoute.of(command, topology, NO_TYPES);
      if (route !== undefined) used();
      return route && { route };
    }
    const keyed = services.planner.keyed(sql, context);
    const literals = keyed?.text.literalsIn(sql);
    if (keyed === undefined || literals === undefined) return undefined;
    if (directPlan(keyed.text.plan) === undefined) return undefined;
    keyed.used();
    this.#remember({ keyed: keyed.text, used: keyed.used }, ground);
    return { route: new TextRoute(keyed.text, literals, topology) };
  }

  /** Behind the one that came last, in the place of the one that came behind that. */
  #remember(known: Known, ground: Ground): void {
    if (this.#knownOn === undefined || !this.#isCurrent(this.#knownOn)) this.#known = [];
    this.#knownOn = ground;
    const at = this.#known.length < DIRECT_TEXTS_MAX ? this.#known.length : this.#next;
    this.#known[at % DIRECT_TEXTS_MAX] = known;
    this.#next = (at % DIRECT_TEXTS_MAX) + 1;
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

function foundIn(known: Known, sql: string, topology: Topology): Found | undefined {
  if ("command" in known) return known.sql === sql ? known : undefined;
  const literals = known.keyed.literalsIn(sql);
  return literals && { route: new TextRoute(known.keyed, literals, topology) };
}

function isBindable(
  { description, isEmpty, endsTransaction, answersAs }: PreparedStatement,
  { parameters, resultFormats }: DirectBind,
): boolean {
  const columnCount = description.columns?.length ?? 0;
  return (
    !isEmpty &&
    !endsTransaction &&
    answersAs === undefined &&
    parameters.length === description.parameterTypes.length &&
    (resultFormats.length <= 1 || resultFormats.length === columnCount) &&
    mayRelayBinary(description, resultFormats)
  );
}
