/**
 * A session's prepared statements, as the direct path finds them: by the very bytes of the Parse
 * that came last, and each with the route of its plan for as long as nothing has changed that the
 * plan was made of. What is not found goes the long way.
 */
import { DIRECT_PARSE_BYTES_MAX } from "../../base/limits.ts";
import type { KeyedText } from "../../planner/keyed-text.ts";
import type { TransactionPlan } from "../../planner/session-plan.ts";
import type { Description } from "../execution/describe.ts";
import type { DirectBind } from "./direct-batch.ts";
import { isSame, readParse } from "./direct-batch.ts";
import { mayRelayBinary } from "./direct-columns.ts";
import { directPlan, DirectRoute, TextRoute } from "./direct-route.ts";
import type { Ground, Route, Routed } from "./direct-route.ts";
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

/** The template of a text. */
interface Keyed extends Ground {
  readonly keyed: KeyedText;
  readonly used: () => void;
}

const NO_TYPES: readonly number[] = [];

export class DirectStatements {
  readonly #session: StatementSession;
  /** Of the Parse that came last: most are followed by another of the same. */
  #parsed: Parsed | undefined;
  /** Of the Query that came last. */
  #text: Keyed | undefined;

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

  /** Of a text of the simple protocol. */
  routeOfText(sql: string): Route | undefined {
    const last = this.#text;
    const literals =
      last !== undefined && this.#isCurrent(last) ? last.keyed.literalsIn(sql) : undefined;
    if (last === undefined || literals === undefined) return this.#routeText(sql);
    last.used();
    return new TextRoute(last.keyed, literals, last.topology);
  }

  /** A text that begins or ends a transaction, where it was planned before. */
  commandOf(sql: string): TransactionPlan | undefined {
    const { services, runner } = this.#session;
    const context = runner.view.contextNow(NO_TYPES);
    const kept = context && services.planner.keepOwn(sql, context);
    if (kept?.plan.kind !== "transaction") return undefined;
    kept.used();
    return kept.plan;
  }

  #routeText(sql: string): Route | undefined {
    const { services, runner } = this.#session;
    const { environmentNow: environment, script } = runner.view;
    const context = runner.view.contextNow(NO_TYPES);
    if (environment === undefined || context === undefined) return undefined;
    const topology = services.topology();
    const kept = services.planner.keepOwn(sql, context);
    if (kept !== undefined) {
      kept.used();
      return DirectRoute.of(kept.plan, topology, NO_TYPES);
    }
    const keyed = services.planner.keyed(sql, context);
    const literals = keyed?.text.literalsIn(sql);
    if (keyed === undefined || literals === undefined) return undefined;
    if (directPlan(keyed.text.plan) === undefined) return undefined;
    keyed.used();
    this.#text = { keyed: keyed.text, used: keyed.used, topology, script, environment };
    return new TextRoute(keyed.text, literals, topology);
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
