/** What a server says to the chunks of a file, message by message. */
import type { RawClient } from "../../support/raw-client.ts";
import {
  cstring,
  describeFrame,
  frame,
  parseFrame,
  queryFrame,
  syncFrame,
} from "../../support/raw-frames.ts";
import { line } from "../conversation.ts";
import type { Chunk } from "./chunks.ts";

/** One chunk's text, and its answer. */
export interface Passage {
  readonly text: string;
  readonly lines: readonly string[];
}

const FIRST_SESSION = "main";

export async function transcriptOf(
  chunks: readonly Chunk[],
  connect: () => Promise<RawClient>,
): Promise<readonly Passage[]> {
  const sessions = new Map<string, RawClient>();
  const passages: Passage[] = [];
  try {
    let name = FIRST_SESSION;
    for (const chunk of chunks) {
      if (chunk.kind === "session") ({ name } = chunk);
      const session = sessions.get(name) ?? (await connect());
      sessions.set(name, session);
      if (chunk.kind === "session") continue;
      const bytes =
        chunk.kind === "query"
          ? queryFrame(chunk.text)
          : Buffer.concat([parseFrame("", chunk.sql, []), describeFrame("S", ""), syncFrame()]);
      session.write(bytes);
      const data = chunk.kind === "query" ? chunk.data : undefined;
      passages.push({ text: chunk.text, lines: await answer(session, data) });
    }
  } finally {
    for (const session of sessions.values()) session.destroy();
  }
  return passages;
}

/** Data is sent once it is asked for. */
async function answer(
  session: RawClient,
  data: readonly string[] | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (;;) {
    const message = await session.receive();
    if (message.type === "G") {
      const rows = (data ?? []).map((row) => frame("d", Buffer.from(`${row}\n`)));
      session.write(
        data === undefined
          ? frame("f", cstring("there is no data"))
          : Buffer.concat([...rows, frame("c")]),
      );
    }
    lines.push(said(message));
    if (message.type === "Z") return withoutOrderOfSettings(lines);
  }
}

/** PostgreSQL tells changed settings in the order that its memory has them in. */
function withoutOrderOfSettings(lines: readonly string[]): readonly string[] {
  const isSetting = (text: string): boolean => text.startsWith("ParameterStatus ");
  const settings = lines.filter(isSetting).toSorted();
  return lines.map((text) => (isSetting(text) ? (settings.shift() ?? text) : text));
}

function said(message: Parameters<typeof line>[0]): string {
  if (message.type === "d") return `CopyData ${JSON.stringify(message.body.toString("utf8"))}`;
  return (
    line(message)
      // Types that a user made, and where a row lies, are each database's own.
      .replaceAll(/\b(?:1[6-9]\d{3}|[2-9]\d{4})\/(-?\d+)\//g, "own/$1/")
      .replace(/tuple \(\d+,\d+\)/, "tuple (n,n)")
  );
}
