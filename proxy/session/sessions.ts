/** All sessions of a process: starts one a client, and finds the one a CancelRequest is for. */
import { timingSafeEqual } from "node:crypto";
import { PIN_REASONS } from "../execution/pinned-backend.ts";
import type { PinReason } from "../execution/pinned-backend.ts";
import type { Client, SessionHost } from "./client.ts";
import { Session } from "./session.ts";
import type { SessionStatus } from "./session.ts";
import type { SessionServices } from "./session-services.ts";

/** As the operator is told of it; `id` is what BackendKeyData told the client. */
export interface ClientReport extends SessionStatus {
  readonly id: number;
  readonly user: string;
  readonly database: string;
  readonly address: string;
}

export class Sessions implements SessionHost {
  readonly #services: SessionServices;
  readonly #sessions = new Map<number, { readonly client: Client; readonly session: Session }>();
  #isClosing = false;

  constructor(services: SessionServices) {
    this.#services = services;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** One for each client: who it is, what it does, and why it keeps a backend, if it does. */
  list(): readonly ClientReport[] {
    return [...this.#sessions.values()].map(({ client, session }) => ({
      id: client.processId,
      user: client.user,
      database: client.database,
      address: client.address,
      ...session.status,
    }));
  }

  /** Sessions that keep a backend, by each of their reasons. */
  pinned(): ReadonlyMap<PinReason, number> {
    const counts = new Map(PIN_REASONS.map((reason): [PinReason, number] => [reason, 0]));
    for (const { session } of this.#sessions.values())
      for (const reason of session.status.pinned) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    return counts;
  }

  async serve(client: Client): Promise<void> {
    const session = new Session(client, this.#services);
    this.#sessions.set(client.processId, { client, session });
    if (this.#isClosing) session.close();
    try {
      await session.run();
    } finally {
      this.#sessions.delete(client.processId);
    }
  }

  cancel(processId: number, secretKey: Buffer): void {
    const found = this.#sessions.get(processId);
    if (found === undefined || found.client.secretKey.length !== secretKey.length) return;
    if (timingSafeEqual(found.client.secretKey, secretKey)) found.session.cancel();
  }

  /** No session goes on after its transaction. */
  drain(): void {
    this.#isClosing = true;
    for (const { session } of this.#sessions.values()) session.close();
  }

  /** The drain's time is up: what runs is cancelled, and every client sent away. */
  end(): void {
    for (const { client, session } of this.#sessions.values()) {
      session.cancel();
      client.end();
    }
  }
}
