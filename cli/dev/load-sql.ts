/** Runs SQL files through the proxy, statement by statement, as any client would. */
import pg from "pg";
import { loadParser, parseSql } from "../../planner/parse.ts";
import { CommandFailure } from "../failure.ts";
import { readInput } from "../input-files.ts";

export interface LoadSqlOptions {
  readonly statements: readonly SourceStatement[];
  /** Of the proxy. */
  readonly url: string;
  readonly signal: AbortSignal;
}

export interface SourceStatement {
  readonly file: string;
  /** One-based, of the statement's first line. */
  readonly line: number;
  readonly text: string;
}

/** Of all files, before any is run: one that is missing or has a mistake in its syntax changes nothing. */
export async function readSql(files: readonly string[]): Promise<readonly SourceStatement[]> {
  await loadParser();
  return files.flatMap(readStatements);
}

export async function loadSql(options: LoadSqlOptions): Promise<void> {
  const client = new pg.Client({ connectionString: options.url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    for (const statement of options.statements) {
      options.signal.throwIfAborted();
      await run(client, statement);
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

function readStatements(file: string): readonly SourceStatement[] {
  const text = readInput(file, "SQL");
  const outcome = parseSql(text);
  switch (outcome.kind) {
    case "empty":
      return [];
    case "rejected":
      throw new CommandFailure(
        `${file}:${lineAt(text, (outcome.position ?? 1) - 1)}: ${outcome.message}; psql's own commands and COPY data cannot be run from a file`,
      );
    case "statements":
      return outcome.statements.map((statement) => ({
        file,
        line: lineAt(text, statement.start + leadingComments(statement.text)),
        text: statement.text,
      }));
  }
}

async function run(client: pg.Client, { file, line, text }: SourceStatement): Promise<void> {
  try {
    await client.query(text);
  } catch (cause) {
    const { code, message, hint } = cause as pg.DatabaseError;
    const advice = hint === undefined ? "" : ` (${hint})`;
    throw new CommandFailure(`${file}:${line}: ${code ?? "error"}: ${message}${advice}`, 2, {
      cause,
    });
  }
}

/** A statement's text begins with the comments above it; its line is where the statement itself stands. */
function leadingComments(text: string): number {
  return /^(?:\s+|--[^\n]*(?:\n|$))*/.exec(text)?.[0].length ?? 0;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
