/**
 * Asks a server that is not otherwise asked, again and again until it answers: one question at a
 * time, so that one that hangs has one of ours hanging on it. It knows no connection.
 */
import { BREAKER_PROBE_INTERVAL_MS } from "../../base/limits.ts";

export interface ProbeParts {
  /** Resolves to whether the server answers. Never rejects. */
  readonly ask: () => Promise<boolean>;
  readonly onAnswer: () => void;
}

export class ServerProbe {
  readonly #parts: ProbeParts;
  #timer: NodeJS.Timeout | undefined;
  #isOn = false;

  constructor(parts: ProbeParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#askLater();
  }

  stop(): void {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  #askLater(): void {
    this.#timer = setTimeout(() => void this.#ask(), BREAKER_PROBE_INTERVAL_MS);
  }

  async #ask(): Promise<void> {
    const answers = await this.#parts.ask();
    if (!this.#isOn) return;
    if (!answers) return this.#askLater();
    this.stop();
    this.#parts.onAnswer();
  }
}
