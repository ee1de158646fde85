/** One who asks for a read, as a session does, and keeps what it is told; and what is counted of such reads. */
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Priority } from "../../base/priority.ts";
import type { Claim } from "../../proxy/backend/claim.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import type { Verdict } from "../../proxy/execution/answer-relay.ts";
import { prepare } from "../../proxy/execution/prepared-texts.ts";
import type { PreparedText } from "../../proxy/execution/prepared-texts.ts";
import type { ReadOwner } from "../../proxy/execution/shared-reads/shared-read.ts";
import type { TransactionStatus } from "../../proxy/protocol/backend/ready-for-query.ts";
import type { FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { encodeBind } from "../../proxy/protocol/frontend/bind.ts";
import { encodeExecute } from "../../proxy/protocol/frontend/execute.ts";
import { encodeQuery } from "../../proxy/protocol/frontend/query.ts";
import { encodeSync } from "../../proxy/protocol/frontend/sync.ts";

const ERROR = "E".charCodeAt(0);

/** What `encode` writes: a Query, or a Bind of a statement that is kept prepared. */
export type Asked = {
  readonly sql: string;
  readonly kept?: PreparedText;
  readonly priority?: Priority;
};

/** One who asks, and what it was told. */
export class Owner implements ReadOwner {
  readonly #asked: Asked;
  text = "";
  bytes = 0;
  /** `answered`, `again`, or an error's id, then nothing more. */
  readonly end = Promise.withResolvers<string>();
  endedAt = 0;
  isFull = false;
  #room: (() => void) | undefined;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  encode(connection: BackendConnection, writer: FrameWriter): void {
    const { sql, kept } = this.#asked;
    if (sql === "refused") throw new SqlError("placement_lease_lost", "no lease");
    if (kept === undefined) {
      encodeQuery({ kind: "query", sql }, writer);
      return;
    }
    const statement = prepare(connection, kept, writer);
    const none = { parameterFormats: [], parameters: [], resultFormats: [] };
    encodeBind({ kind: "bind", portal: "", statement, ...none }, writer);
    encodeExecute({ kind: "execute", portal: "", rowLimit: 0 }, writer);
    encodeSync({ kind: "sync" }, writer);
  }

  judge(type: number, bytes: Buffer, start: number, end: number): Verdict {
    if (type === ERROR) this.text += bytes.toString("latin1", start, end);
    return true;
  }

  judgeReady(_status: TransactionStatus): Verdict {
    return true;
  }

  give(bytes: Buffer): void {
    this.bytes += bytes.length;
    if (this.text.length < 10_000) this.text += bytes.toString("latin1");
  }

  whenRoom(callback: () => void): void {
    this.#room = callback;
  }

  read(): void {
    this.isFull = false;
    this.#room?.();
  }

  answered(): void {
    this.#over("answered");
  }

  claim(): Claim {
    return { standing: "new", priority: this.#asked.priority ?? "normal", user: "app" };
  }

  again(): void {
    this.#over("again");
  }

  lost(error: unknown): void {
    this.#over(error instanceof SqlError ? error.id : String(error));
  }

  #over(how: string): void {
    if (this.endedAt !== 0) throw new Error(`told twice: ${how}`);
    this.endedAt = performance.now();
    this.end.resolve(how);
  }
}

/** By reason. */
export async function fallbacksIn(metrics: Metrics): Promise<Readonly<Record<string, number>>> {
  const { text } = await metrics.render();
  const found = text.matchAll(/^colonnade_shared_read_fallbacks_total\{reason="(.+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, reason, count]) => [reason, Number(count)]));
}

export async function countedIn(metrics: Metrics, name: string): Promise<number> {
  const { text } = await metrics.render();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}
