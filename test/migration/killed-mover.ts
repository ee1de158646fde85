/** Movers in processes of their own, one after another, each killed without warning but the last. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { MoverJob } from "./mover-process.ts";

const PROGRAM = join(import.meta.dirname, "mover-process.ts");

export class MoverProcess {
  readonly #process: ChildProcess;
  readonly #started = Promise.withResolvers<void>();
  readonly #copied = Promise.withResolvers<void>();
  readonly #exited: Promise<unknown>;
  #output = "";
  #isKilled = false;

  constructor(job: MoverJob) {
    this.#process = spawn(process.execPath, [PROGRAM, JSON.stringify(job)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process.stdout?.on("data", (data: Buffer) => this.#read(data.toString()));
    this.#process.stderr?.on("data", (data: Buffer) => this.#read(data.toString()));
    this.#exited = once(this.#process, "exit").then(() => this.#ended());
    this.#started.promise.catch(() => undefined);
    this.#copied.promise.catch(() => undefined);
  }

  /** Rejects with what the process said where it ends before. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  get copied(): Promise<void> {
    return this.#copied.promise;
  }

  /** What it has printed, errors included. */
  get output(): string {
    return this.#output;
  }

  get hasFailed(): boolean {
    return this.#process.exitCode !== null && !this.#isKilled;
  }

  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  #read(text: string): void {
    this.#output += text;
    if (this.#output.includes("started")) this.#started.resolve();
    if (this.#output.includes("copied")) this.#copied.resolve();
  }

  #ended(): void {
    const error = new Error(`the mover has ended: ${this.#output}`);
    this.#started.reject(error);
    this.#copied.reject(error);
  }
}
