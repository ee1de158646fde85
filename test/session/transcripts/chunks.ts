/**
 * The files of `sql/`, cut into what is sent at once. It knows no connection.
 *
 * A chunk is a query string and ends with the line that ends in a semicolon, but for one inside
 * of `$$`. COPY ... FROM STDIN is followed by its data up to `\.`. `\session NAME` goes on in
 * another session, made where there is none of the name; `\describe SQL` asks what a statement's
 * parameters and columns are, as psql's \gdesc does. A line that begins with `--` is for readers.
 */
export type Chunk =
  | { readonly kind: "query"; readonly text: string; readonly data: readonly string[] | undefined }
  | { readonly kind: "session"; readonly text: string; readonly name: string }
  | { readonly kind: "describe"; readonly text: string; readonly sql: string };

export function chunksOf(file: string): Chunk[] {
  const chunks: Chunk[] = [];
  const lines = file.trimEnd().split("\n");
  let open: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    const command = open.length === 0 ? commandOf(line) : undefined;
    if (command !== undefined) chunks.push(command);
    if (command !== undefined || (open.length === 0 && line.startsWith("--"))) continue;
    open.push(line);
    const text = open.join("\n");
    if (!line.endsWith(";") || text.split("$$").length % 2 === 0) continue;
    open = [];
    if (!/^COPY\b.*\bFROM STDIN\b/.test(text)) {
      chunks.push({ kind: "query", text, data: undefined });
      continue;
    }
    const end = lines.indexOf("\\.", index);
    if (end < 0) throw new Error(`the data of "${text}" has no end`);
    chunks.push({ kind: "query", text, data: lines.slice(index + 1, end) });
    index = end;
  }
  if (open.length > 0) throw new Error(`"${open.join(" ")}" has no end`);
  return chunks;
}

function commandOf(line: string): Chunk | undefined {
  const [, command, rest = ""] = /^\\(session|describe) ?(.*)$/.exec(line) ?? [];
  if (command === "session") return { kind: "session", text: line, name: rest };
  return command === "describe" ? { kind: "describe", text: line, sql: rest } : undefined;
}
