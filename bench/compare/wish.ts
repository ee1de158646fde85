/** The words of `npm run bench -- compare`: what was asked for, or what is wrong with it. */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { CASES } from "./cases.ts";
import type { Case } from "./cases.ts";
import { CONTENDERS } from "./contenders.ts";

export interface Size {
  readonly turns: number;
  readonly seconds: number;
  readonly gigabytes: number;
  readonly idleClients: number;
  /** How many times as long as it has to be the slice is that does not count. */
  readonly warmUps: number;
}

export interface Wish {
  readonly size: Size;
  readonly cases: readonly Case[];
  readonly contenders: readonly string[];
  readonly isChecked: boolean;
  readonly json: string | undefined;
  /** A file in Markdown. */
  readonly page: string | undefined;
  /** As it was typed. */
  readonly command: string;
  /** A directory for CPU profiles. */
  readonly profile: string | undefined;
  readonly pgbouncer: string | undefined;
}

const FULL: Size = { turns: 5, seconds: 2, gigabytes: 1, idleClients: 10_000, warmUps: 4 };
/** Less than three minutes on two cores, all of it. */
const SHORT: Size = { turns: 3, seconds: 1, gigabytes: 0.1, idleClients: 5_000, warmUps: 1 };
/** No aim is against them. */
const FULL_ONLY: ReadonlySet<string> = new Set(["haproxy", "node-relay", "pgpool"]);

const SECONDS_MAX = 3_600;
const TURNS_MAX = 1_000;
const GIGABYTES_MAX = 100;
/** A loopback address has some 28,000 ports for those who connect. */
const IDLE_CLIENTS_MAX = 11_000;

/** Throws what is wrong. */
export function readWish(words: readonly string[]): Wish {
  const { values } = parseArgs({
    args: [...words],
    options: {
      short: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      turns: { type: "string" },
      seconds: { type: "string" },
      gigabytes: { type: "string" },
      "idle-clients": { type: "string" },
      cases: { type: "string" },
      contenders: { type: "string" },
      json: { type: "string" },
      page: { type: "string" },
      profile: { type: "string" },
      pgbouncer: { type: "string" },
    },
  });
  const usual = values.short ? SHORT : FULL;
  const caseNames = CASES.map(({ name }) => name);
  const shortNames = CASES.filter(({ isShort }) => isShort).map(({ name }) => name);
  const names = Object.keys(CONTENDERS);
  const usualContenders = values.short ? names.filter((name) => !FULL_ONLY.has(name)) : names;
  const cases = chosen("cases", values.cases, caseNames) ?? (values.short ? shortNames : caseNames);
  if (values.pgbouncer !== undefined && !existsSync(values.pgbouncer))
    throw new Error(`--pgbouncer: there is no file "${values.pgbouncer}"`);
  return {
    size: {
      turns: whole("turns", values.turns, TURNS_MAX) ?? usual.turns,
      seconds: whole("seconds", values.seconds, SECONDS_MAX) ?? usual.seconds,
      gigabytes: fraction("gigabytes", values.gigabytes, GIGABYTES_MAX) ?? usual.gigabytes,
      idleClients:
        whole("idle-clients", values["idle-clients"], IDLE_CLIENTS_MAX) ?? usual.idleClients,
      warmUps: usual.warmUps,
    },
    cases: CASES.filter(({ name }) => cases.includes(name)),
    contenders: chosen("contenders", values.contenders, names) ?? usualContenders,
    isChecked: values.check,
    json: values.json,
    page: values.page,
    command: ["npm run bench -- compare", ...words].join(" "),
    profile: values.profile,
    pgbouncer: values.pgbouncer,
  };
}

function chosen(
  option: string,
  list: string | undefined,
  known: readonly string[],
): readonly string[] | undefined {
  const names = list?.split(",");
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new Error(`--${option}: there is no "${unknown}"; there are ${known.join(", ")}`);
}

function whole(option: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Error(`--${option}: a whole number from 1 to ${max} is needed, not "${text}"`);
}

function fraction(option: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && value > 0 && value <= max) return value;
  throw new Error(`--${option}: a number above 0 up to ${max} is needed, not "${text}"`);
}
