/**
 * Every order of the extended protocol's messages, each with what may go wrong in it, said to
 * PostgreSQL and to the proxy: all words up to a length, and longer ones by a seed.
 *
 * `COLONNADE_FULL=1` takes longer words and more of them; `COLONNADE_SEED` says which.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../differential/random.ts";
import { inFullRun } from "../../support/run-mode.ts";
import { startServers } from "../servers.ts";
import type { Servers } from "../servers.ts";
import { Lane } from "./lane.ts";
import type { Compared, Word } from "./lane.ts";
import { alphabetOf, coreOf, THEMES, themeOf } from "./messages.ts";
import type { Message } from "./messages.ts";
import { stepsFor } from "./steps.ts";
import type { Beginning } from "./steps.ts";

const LANES = 4;
const SEED = Number(process.env["COLONNADE_SEED"] ?? 1);

/** Of each of the random tests. A busy machine takes fewer words, and never none. */
const BUDGET_MS = inFullRun(600_000, 7_000);

let servers: Servers;
const lanes: Lane[] = [];
let compared = 0;
/** Words that PostgreSQL answers with an internal error of its own. */
let broken = 0;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  for (let number = 1; number <= LANES; number++) lanes.push(new Lane(servers, number));
  await Promise.all(lanes.map((lane) => lane.restart()));
});
afterAll(async () => {
  for (const lane of lanes) lane.close();
  const unanswered = broken === 0 ? "" : `, ${broken} left out that PostgreSQL breaks at`;
  console.log(`${compared} sequences of messages compared, seed ${SEED}${unanswered}`);
  await servers[Symbol.asyncDispose]();
});

/** What differs, for the first few words that do. */
class Differences {
  readonly #texts: string[] = [];
  static readonly #SHOWN_MAX = 12;

  get isEnough(): boolean {
    return this.#texts.length >= Differences.#SHOWN_MAX;
  }

  add({ beginning, messages, pace }: Word, { plain, proxied }: Compared): void {
    const at = plain.findIndex((text, index) => text !== proxied[index]);
    const first = at < 0 ? plain.length : at;
    const around = (lines: readonly string[]): string =>
      lines.slice(Math.max(0, first - 2), first + 3).join("\n      ");
    this.#texts.push(
      `${messages.map(({ name }) => name).join(" ")} (${beginning}, ${pace})\n` +
        `    PostgreSQL:\n      ${around(plain)}\n    proxy:\n      ${around(proxied)}`,
    );
  }

  get report(): string {
    return this.#texts.join("\n");
  }
}

async function differs(lane: Lane, word: Word, differences: Differences): Promise<Compared> {
  const said = await lane.compare(word);
  if (said.plain.some((text) => text.includes("C=XX000"))) {
    broken += 1;
    await lane.restart();
    return said;
  }
  compared += 1;
  if (said.plain.join("\n") !== said.proxied.join("\n")) {
    differences.add(word, said);
    await lane.restart();
  }
  return said;
}

/** Does `work` for each piece, a lane at a time. */
async function inLanes<T>(
  pieces: Iterable<T>,
  work: (lane: Lane, number: number, piece: T) => Promise<void>,
): Promise<void> {
  const queue = pieces[Symbol.iterator]();
  await Promise.all(
    lanes.map(async (lane, index) => {
      for (let next = queue.next(); next.done !== true; next = queue.next())
        await work(lane, index + 1, next.value);
    }),
  );
}

const isSync = ({ name }: Message): boolean => name === "S" || name === "Sync";

/** After an error nothing is read but Sync: longer words that go on otherwise say nothing new. */
function isSkipped(
  messages: readonly Message[],
  { plain }: Compared,
  beginning: Beginning,
): boolean {
  const syncs = messages.filter(isSync).length;
  const before =
    beginning === "outside of a transaction" ? 0 : beginning === "in a transaction" ? 1 : 2;
  let ready = 0;
  for (const text of plain) {
    if (text.startsWith("ReadyForQuery")) ready += 1;
    if (text.startsWith("ErrorResponse") && ready === before + syncs) return true;
  }
  return false;
}

async function everyWord(
  lane: Lane,
  alphabet: readonly Message[],
  beginning: Beginning,
  lengthMax: number,
  differences: Differences,
): Promise<void> {
  let stems: (readonly Message[])[] = [[]];
  for (let length = 1; length <= lengthMax; length++) {
    const next: (readonly Message[])[] = [];
    for (const stem of stems) {
      for (const letter of alphabet) {
        if (differences.isEnough) return;
        const messages = [...stem, letter];
        const said = await differs(lane, { beginning, messages, pace: "at once" }, differences);
        if (!isSkipped(messages, said, beginning)) next.push(messages);
      }
    }
    stems = next;
  }
}

const BEGINNINGS = [
  "outside of a transaction",
  "in a transaction",
  "in a failed transaction",
] as const;

test("every order of the messages, up to a length", async () => {
  const differences = new Differences();
  const pieces = THEMES.flatMap((theme) => BEGINNINGS.map((beginning) => ({ theme, beginning })));
  await inLanes(pieces, async (lane, number, { theme, beginning }) => {
    const words = themeOf(theme, number);
    const [core, all] = [coreOf(words), alphabetOf(words)];
    await everyWord(lane, all, beginning, inFullRun(3, 1), differences);
    await everyWord(lane, core, beginning, inFullRun(5, 2), differences);
  });
  expect(differences.report).toBe("");
});

/** Letters of the core more often than the rest, so that words come to something. */
function randomWord(random: Random, lane: number): Word {
  const theme = themeOf(random.pick(THEMES), lane);
  const [core, all] = [coreOf(theme), alphabetOf(theme)];
  const letter = (): Message => random.pick(random.chance(65) ? core : all);
  return wordOf(random, Array.from({ length: random.integer(3, 12) }, letter));
}

/** Statements of an application, Sync after some of them. */
function randomPipeline(random: Random, lane: number): Word {
  const steps = stepsFor(lane);
  const sync = steps.filter(isSync);
  // What has written to several databases cannot become read-only: `read_only_after_writes`.
  const later = steps.filter(({ name }) => !name.endsWith("READ ONLY"));
  const messages = Array.from({ length: random.integer(2, 9) }, (_, index) =>
    random.pick(random.chance(20) ? sync : index === 0 ? steps : later),
  );
  return wordOf(random, messages);
}

/** A long one, as of a batch of hundreds without Sync. */
function longPipeline(random: Random, lane: number): Word {
  const steps = stepsFor(lane).filter(({ name }) => /^(UPDATE|SELECT|two) /.test(name));
  return wordOf(
    random,
    Array.from({ length: random.integer(200, 400) }, () => random.pick(steps)),
  );
}

function wordOf(random: Random, messages: readonly Message[]): Word {
  const beginning = random.weighted<Beginning>([
    [6, "outside of a transaction"],
    [3, "in a transaction"],
    [1, "in a failed transaction"],
  ]);
  return { beginning, messages, pace: random.pick(["at once", "in parts"]) };
}

test.each([
  ["longer words", randomWord, inFullRun(60_000, 2_500)],
  ["pipelines of statements", randomPipeline, inFullRun(60_000, 2_500)],
  ["pipelines without Sync for long", longPipeline, inFullRun(200, 8)],
])("%s", async (_, make, count) => {
  const differences = new Differences();
  const end = performance.now() + BUDGET_MS;
  await inLanes(Array.from({ length: count }).keys(), async (lane, number, index) => {
    if (differences.isEnough || (performance.now() > end && index >= LANES)) return;
    await differs(lane, make(new Random(SEED * 1_000_003 + index), number), differences);
  });
  expect(differences.report).toBe("");
});
