/**
 * Answers to Bind and to the Describe of its portal, kept back until the portal is executed:
 * only then does a backend say whether it can read the values. Nobody can tell from outside:
 * PostgreSQL, too, sends nothing before Flush or Sync, and before those a server is asked.
 */

/** BindComplete and one description. */
const ANSWERS_MAX = 2;

export class DelayedAnswers {
  #portal: string | undefined;
  #answers: (() => void)[] = [];

  add(portal: string, answer: () => void): void {
    this.#portal = portal;
    this.#answers.push(answer);
  }

  /** What the answers that wait are about; undefined where none does. */
  get portal(): string | undefined {
    return this.#portal;
  }

  /** Something waits, and it is about this portal. */
  isFor(portal: string): boolean {
    return this.#portal === portal;
  }

  /** One more answer about this portal may wait. */
  isLast(portal: string): boolean {
    return this.isFor(portal) && this.#answers.length < ANSWERS_MAX;
  }

  say(): void {
    if (this.#portal === undefined) return;
    const answers = this.#answers;
    this.drop();
    for (const answer of answers) answer();
  }

  drop(): void {
    this.#portal = undefined;
    this.#answers = [];
  }
}
