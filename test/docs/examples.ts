/** Examples in documents, which are run: a test of each. `REWRITE=1` writes what they give into the document; the diff is what is reviewed. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { runCommand } from "../support/command.ts";
import { ROOT } from "../tidy/sources.ts";

export interface Block {
  readonly language: string;
  readonly body: string;
}

export interface Document {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

export function readDocument(name: string): Document {
  const path = join(ROOT, name);
  const text = readFileSync(path, "utf8");
  const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
    ([, language = "", body = ""]) => ({ language, body }),
  );
  return { path, text, blocks };
}

/** What a command line shows: `$ colonnade ...` and what it prints. */
export function commandsOf({ blocks }: Document): readonly string[] {
  return consoles(blocks).filter((body) => body.startsWith("$ "));
}

/** What psql shows: a statement behind its prompts, and the answer. */
export function sessionsOf({ blocks }: Document): readonly string[] {
  return consoles(blocks).filter((body) => PROMPT.test(body));
}

function consoles(blocks: readonly Block[]): readonly string[] {
  return blocks.filter(({ language }) => language === "console").map(({ body }) => body);
}

/** A refusal goes to standard error, the plan of what is not refused to standard output. */
export async function checkCommand(document: Document, example: string): Promise<void> {
  const [line = ""] = example.split("\n");
  const words = line.replace(/^\$ colonnade /, "").matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g);
  const { stdout, stderr } = await runCommand(
    ...[...words].map(([, quoted, literal, plain]) => quoted ?? literal ?? plain ?? ""),
  );
  check(document, example, `${line}\n${stdout}${stderr}`);
}

/** As psql prompts a superuser, and asks for the rest of a statement. */
const PROMPT = /^main[=-]# /;

const COPY_PROMPT = ">> ";

export async function checkSession(
  document: Document,
  session: string,
  answer: (sql: string, data: string) => Promise<string>,
): Promise<void> {
  const lines = session.split("\n");
  const typed = lines.filter((line) => PROMPT.test(line));
  expect(session.startsWith(typed.join("\n"))).toBe(true);
  const sql = typed.map((line) => line.replace(PROMPT, "")).join("\n");
  expect(sql.endsWith(";")).toBe(true);
  const given = lines.filter((line) => line.startsWith(COPY_PROMPT));
  const rows = given.slice(0, -1).map((line) => `${line.slice(COPY_PROMPT.length)}\n`);
  const asked = given.length === 0 ? [] : [COPY_QUESTION, ...given];
  const shown = [...typed, ...asked, await answer(sql, rows.join(""))];
  check(document, session, `${shown.join("\n")}\n`);
}

/** psql's, before it takes data. */
const COPY_QUESTION = `Enter data to be copied followed by a newline.
End with a backslash and a period on a line by itself, or an EOF signal.`;

function check({ path }: Document, written: string, actual: string): void {
  const isRewritten = process.env["REWRITE"] === "1";
  if (isRewritten)
    writeFileSync(
      path,
      readFileSync(path, "utf8").replace(written, () => actual),
    );
  expect(isRewritten ? actual : written).toBe(actual);
}
