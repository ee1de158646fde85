/**
 * The documents that are generated: one row for each thing a catalogue in the code
 * names, so that neither can drift from the other. generate-docs.ts writes them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { METRICS } from "../base/metrics.ts";
import { ERRORS, type ErrorDefinition } from "../base/sql-error.ts";
import { FINDINGS } from "../migration/preflight/findings.ts";
import { configSchema } from "../proxy/config/config.ts";
import { printShardMapJsonSchema } from "../shardmap/json-schema.ts";
import { mapFile } from "../shardmap/map-file/format.ts";
import { consoleDocument } from "./console-document.ts";
import { fieldRows, type FieldSchema } from "./field-rows.ts";
import { limitsDocument } from "./limits-document.ts";
import { packageFile } from "./package-root.ts";

/** Path in the repository to the text that must stand there. */
export function generatedDocuments(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/errors.md", errorsDocument()],
    ["docs/limits.md", limits()],
    ["docs/metrics.md", metricsDocument()],
    ["docs/config.md", configDocument()],
    ["docs/console.md", `${heading("The admin console", "proxy/console")}${consoleDocument()}`],
    ["docs/migration-findings.md", findingsDocument()],
    ["docs/shard-map.md", shardMapDocument()],
    ["docs/shard-map.schema.json", printShardMapJsonSchema()],
  ]);
}

function heading(title: string, source: string): string {
  return `# ${title}\n\n<!-- Generated from ${source} by \`npm run docs\`; not to be edited. -->\n\n`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(columns) + line(columns.map(() => "---")) + rows.map(line).join("");
}

function errorsDocument(): string {
  const definitions = Object.entries<ErrorDefinition>(ERRORS);
  const rows = definitions
    .toSorted(([a, left], [b, right]) => byText(left.sqlstate, right.sqlstate) || byText(a, b))
    .map(([id, { sqlstate, when, hint = "" }]) => [`\`${sqlstate}\``, `\`${id}\``, when, hint]);
  return `${heading("Errors", "base/sql-error.ts")}Errors that Colonnade itself raises. PostgreSQL's own errors are relayed as they come and are not
listed here. Clients branch on the SQLSTATE; the id is in logs and in the label \`id\` of \`colonnade_errors_total\`.

${table(["SQLSTATE", "id", "when", "hint"], rows)}`;
}

function findingsDocument(): string {
  const rows = Object.entries(FINDINGS).map(([id, { severity, remedy }]) => [
    `\`${id}\``,
    severity,
    remedy,
  ]);
  return `${heading("What preflight finds", "migration/preflight/findings.ts")}\`colonnade migrate preflight\` tells each of these with the database, the object and what is wrong with it. An
error stands in the migration's way; a warning is a risk that somebody may take. Programs branch on the id.

${table(["id", "severity", "remedy"], rows)}`;
}

/** The planner's specification stands in files without an extension. */
function limits(): string {
  const directory = packageFile("test", "plan", "testdata");
  const names = readdirSync(directory).filter((name) => !name.includes("."));
  const files = names
    .toSorted()
    .map((name) => [name, readFileSync(join(directory, name), "utf8")] as const);
  return `${heading("Limits", "the refused cases of test/plan/testdata")}${limitsDocument(new Map(files))}`;
}

function metricsDocument(): string {
  const rows = Object.entries(METRICS)
    .toSorted(([a], [b]) => byText(a, b))
    .map(([name, { type, labels, help }]) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(", "),
      help,
    ]);
  return `${heading("Metrics", "base/metrics.ts")}Served at \`/metrics\` on the admin port, in Prometheus' text format. Every label takes its values from a fixed
set or from the shard map, never from a client's text.

${table(["name", "type", "labels", "what it tells"], rows)}`;
}

function configDocument(): string {
  const rows = fieldRows(z.toJSONSchema(configSchema, { io: "input" }) as FieldSchema);
  return `${heading("Configuration", "proxy/config/config.ts")}\`colonnade serve --config FILE\` reads one YAML file. Every field has a default, so an empty file, or none, is a
valid configuration. Unknown fields are errors. Fields that end in \`_ms\` are milliseconds.

${table(["field", "takes", "default", "what it does"], rows)}`;
}

function shardMapDocument(): string {
  const rows = fieldRows(z.toJSONSchema(mapFile, { io: "input" }) as FieldSchema).map(
    ([field, accepts, byDefault, description]) => [
      field,
      accepts,
      byDefault === "required" ? "yes" : "",
      description,
    ],
  );
  return `${heading("The shard map", "shardmap/map-file/format.ts")}The file that \`--map\` names says which table's rows live where. It is YAML; unknown fields are errors. A name
in capitals stands for one that you choose, \`[]\` for each entry of a list. What fields mean together
(every shard in exactly one placement, every table once) is told by \`colonnade check\`.

Editors complete and check the file as it is written, with this as its first line:

\`\`\`yaml
# yaml-language-server: $schema=PATH/docs/shard-map.schema.json
\`\`\`

Examples are in [deploy/maps](../deploy/maps) and [deploy/dev/map.yaml](../deploy/dev/map.yaml).

${table(["field", "takes", "required", "what it says"], rows)}`;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
