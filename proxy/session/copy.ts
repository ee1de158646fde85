/**
 * COPY as a client sees it (manual: "COPY Operations" of the message flow): data from the client
 * until CopyDone or CopyFail, or data to it. Where the rows go is the plan's, how they are told
 * apart execution's.
 */
import { SqlError, ProtocolViolation } from "../../base/sql-error.ts";
import type { BoundCopy } from "../../planner/bind-copy.ts";
import { checkStatement } from "../../planner/copy/copy-check.ts";
import type { CopiedColumn, CopyInPlan, CopyOutPlan } from "../../planner/copy/copy-plan.ts";
import { refusalError } from "../../planner/refusal.ts";
import { BackendError } from "../backend/backend-connection.ts";
import { inClientText } from "../execution/backend-answer.ts";
import { CopyInto } from "../execution/copy/copy-into.ts";
import { CopyRelay } from "../execution/copy/copy-relay.ts";
import { CopyWriter } from "../execution/copy/copy-writer.ts";
import type { Transaction } from "../execution/transaction.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { CopyFormat } from "../protocol/copy-format.ts";
import { decodeCopyFail } from "../protocol/frontend/copy-fail.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import type { Client } from "./client.ts";
import type { Responder } from "./responder.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface CopyParts {
  readonly runner: StatementRunner;
  readonly responder: Responder;
  readonly client: Client;
}

interface CopySink {
  push(bytes: Buffer): Promise<void>;
  finish(): Promise<number>;
  fail(reason: string): never | Promise<never>;
  settled(): Promise<void>;
}

/** Gives the command tag; an implicit transaction is the caller's to end. */
export function copy(
  plan: CopyInPlan | CopyOutPlan,
  parts: CopyParts,
  isAlone: boolean,
  signal: AbortSignal,
): Promise<string> {
  return plan.kind === "copyIn"
    ? copyIn(plan, parts, signal)
    : copyOut(plan, parts, isAlone, signal);
}

/** Runs in the open transaction, or in an implicit one that the caller ends. */
async function copyIn(
  plan: CopyInPlan,
  { runner, responder, client }: CopyParts,
  signal: AbortSignal,
): Promise<string> {
  runner.transaction.refuseWhenFailed();
  const bound = await runner.binding.bindCopy(plan, signal);
  const transaction = await runner.openTransaction(signal);
  const { sink, start } = sinkOf(plan, bound, { runner, transaction, responder, signal });
  try {
    const format = await start();
    if (plan.refusal !== undefined) throw refusalError(plan.refusal);
    responder.copyIn(format);
    return `COPY ${await receive(client, sink, signal)}`;
  } finally {
    await sink.settled();
  }
}

interface SinkParts {
  readonly runner: StatementRunner;
  readonly transaction: Transaction;
  readonly responder: Responder;
  readonly signal: AbortSignal;
}

function sinkOf(
  plan: CopyInPlan,
  bound: BoundCopy,
  { runner, transaction, responder, signal }: SinkParts,
): { readonly sink: CopySink; readonly start: () => Promise<CopyFormat> } {
  const { rows, table } = plan;
  const { binding } = runner;
  const { use } = binding;
  const onNotice = (bytes: Buffer) => responder.notice(bytes);
  if (rows === undefined || bound.isRelayed) {
    const relay = new CopyRelay({ ...bound, use }, transaction, signal, onNotice);
    return { sink: relay, start: () => relay.start() };
  }
  const draw = (generated: readonly CopiedColumn[], count: number) =>
    binding.draw({ generated, count }, signal);
  const into = new CopyInto({ ...bound, table, rows, draw, use }, transaction, signal, onNotice);
  const format = rows.format.kind === "binary" ? "binary" : "text";
  const start = async (): Promise<CopyFormat> => {
    await into.start();
    return { format, columnFormats: rows.columns.map(() => format) };
  };
  return { sink: into, start };
}

async function receive(client: Client, sink: CopySink, signal: AbortSignal): Promise<number> {
  for (;;) {
    const frame = await client.receive();
    signal.throwIfAborted();
    switch (frame?.type) {
      case FRONTEND_TYPE.copyData:
        await sink.push(frame.body);
        break;
      case FRONTEND_TYPE.copyDone:
        return sink.finish();
      case FRONTEND_TYPE.copyFail: {
        const { reason } = decodeCopyFail(frame.body);
        return sink.fail(reason);
      }
      // libpq sends a Sync before it knows that the statement is a COPY.
      case FRONTEND_TYPE.flush:
      case FRONTEND_TYPE.sync:
        break;
      case undefined:
        throw new SqlError("client_lost", "unexpected EOF on client connection");
      default:
        throw new ProtocolViolation(
          `unexpected message type ${frame?.type ?? 0} during COPY from stdin`,
        );
    }
  }
}

async function copyOut(
  plan: CopyOutPlan,
  { runner, responder }: CopyParts,
  isAlone: boolean,
  signal: AbortSignal,
): Promise<string> {
  runner.transaction.refuseWhenFailed();
  await checkOptions(plan, runner, signal);
  const format = plan.format.kind === "binary" ? "binary" : "text";
  const output = async (): Promise<readonly ColumnDescription[]> => {
    const columns = await runner.descriptions.plannedColumns(plan.rowsSql, signal);
    return (columns ?? []).map((column) => ({ ...column, format }));
  };
  const protocol = format === "binary" ? BINARY_ROWS : SIMPLE;
  const request = { plan: plan.query, protocol, output, describe: true, isAlone };
  /** Of rows of several placements, which come with their columns; one placement writes its data itself. */
  let writer: CopyWriter | undefined;
  let tag = "";
  for await (const event of runner.run(request, signal)) {
    switch (event.kind) {
      case "columns":
        writer = new CopyWriter(plan, event.columns.map(nameOf));
        responder.copyOut({ format, columnFormats: event.columns.map(() => format) });
        await responder.copyData(writer.begin());
        break;
      case "rows":
        if (writer !== undefined) await responder.copyData(writer.rows(event.rows));
        break;
      case "complete":
        ({ tag } = event);
        break;
      default:
        await responder.event(event);
    }
  }
  if (writer === undefined) return tag;
  await responder.copyData(writer.end());
  responder.copyDone();
  return `COPY ${writer.rowCount}`;
}

/** What is wrong with options that the proxy follows itself, a server says. */
async function checkOptions(
  { check, rowsSql, refusal }: CopyOutPlan,
  { descriptions, view }: StatementRunner,
  signal: AbortSignal,
): Promise<void> {
  if (check !== undefined) {
    const columns = (await descriptions.plannedColumns(rowsSql, signal)) ?? [];
    const rendered = checkStatement(check, columns.map(nameOf));
    await view.withCatalog(signal, async (connection) => {
      try {
        await connection.query(rendered.sql, signal);
      } catch (error) {
        if (!(error instanceof BackendError)) throw error;
        throw new BackendError(inClientText(error.fields, rendered));
      }
    });
  }
  if (refusal !== undefined) throw refusalError(refusal);
}

const nameOf = ({ name }: ColumnDescription): string => name;

const SIMPLE = { kind: "simple" } as const;

const BINARY_ROWS = {
  kind: "extended",
  parameters: [],
  resultFormats: ["binary"],
  keepPrepared: false,
  onBound: () => undefined,
} as const;
