/** Questions with answers, and plain notices, over a channel between two processes that has messages alone. */
import { WORKER_ANSWER_TIMEOUT_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ErrorId } from "../../base/sql-error.ts";

interface Question {
  readonly about: unknown;
  readonly answer: unknown;
}

type Questions<Asked> = { readonly [Name in keyof Asked]: Question };

/** What answers each question that the other side may ask. */
export type Answers<Asked extends Questions<Asked>> = {
  readonly [Name in keyof Asked]: (
    about: Asked[Name]["about"],
  ) => Asked[Name]["answer"] | Promise<Asked[Name]["answer"]>;
};

interface Refusal {
  /** Of a SqlError. */
  readonly id: ErrorId | undefined;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

type Envelope =
  | { readonly type: "notice"; readonly notice: unknown }
  | {
      readonly type: "question";
      readonly number: number;
      readonly name: string;
      readonly about: unknown;
    }
  | { readonly type: "answer"; readonly number: number; readonly value: unknown }
  | { readonly type: "refusal"; readonly number: number; readonly error: Refusal };

export interface ChannelOptions<Notice, Asked extends Questions<Asked>> {
  /** False where the other side is gone. */
  readonly send: (message: unknown) => boolean;
  readonly onNotice: (notice: Notice) => void;
  readonly answers: Answers<Asked>;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** `Asks` and `Tells` go to the other side, `Asked` and `Told` come from it. */
export class Channel<Asks extends Questions<Asks>, Tells, Asked extends Questions<Asked>, Told> {
  readonly #options: ChannelOptions<Told, Asked>;
  readonly #waiting = new Map<number, Waiting>();
  #lastNumber = 0;

  constructor(options: ChannelOptions<Told, Asked>) {
    this.#options = options;
  }

  tell(notice: Tells): void {
    this.#send({ type: "notice", notice });
  }

  /** Rejects with what the other side threw, or where it does not answer. */
  async ask<Name extends keyof Asks & string>(
    name: Name,
    about: Asks[Name]["about"],
    timeoutMs: number = WORKER_ANSWER_TIMEOUT_MS,
  ): Promise<Asks[Name]["answer"]> {
    const number = (this.#lastNumber += 1);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(number, { resolve, reject });
    const late = setTimeout(() => reject(silent()), timeoutMs);
    try {
      if (!this.#send({ type: "question", number, name, about })) throw silent();
      return await promise;
    } finally {
      clearTimeout(late);
      this.#waiting.delete(number);
    }
  }

  /** A message has come. What is none of a channel's is another's. */
  receive(message: unknown): void {
    const envelope = message as Envelope | null;
    switch (envelope?.type) {
      case "notice":
        this.#options.onNotice(envelope.notice as Told);
        break;
      case "question":
        void this.#answer(envelope.number, envelope.name as keyof Asked, envelope.about);
        break;
      case "answer":
        this.#waiting.get(envelope.number)?.resolve(envelope.value);
        break;
      case "refusal":
        this.#waiting.get(envelope.number)?.reject(errorOf(envelope.error));
        break;
      default:
    }
  }

  /** The other side is gone: nobody waits for it any more. */
  close(): void {
    for (const { reject } of this.#waiting.values()) reject(silent());
  }

  async #answer(number: number, name: keyof Asked, about: unknown): Promise<void> {
    try {
      const value = await this.#options.answers[name](about);
      this.#send({ type: "answer", number, value });
    } catch (error) {
      this.#send({ type: "refusal", number, error: refusalOf(error) });
    }
  }

  #send(envelope: Envelope): boolean {
    return this.#options.send(envelope);
  }
}

function silent(): SqlError {
  return new SqlError("worker_silent", "a process of the proxy does not answer");
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof SqlError))
    return { id: undefined, message: String(error), detail: undefined, hint: undefined };
  const { id, message, detail, hint } = error;
  return { id, message, detail, hint };
}

function errorOf({ id, message, detail, hint }: Refusal): Error {
  return id === undefined ? new Error(message) : new SqlError(id, message, { detail, hint });
}
