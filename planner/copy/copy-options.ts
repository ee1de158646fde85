/**
 * The options of a COPY, as far as the proxy must know them to read or write its data itself
 * (copy.c, ProcessCopyOptions). A server is asked about them before what is refused here is told, and
 * before any data comes or goes: what is wrong with them, it says.
 */
import type { CopyStmt, DefElem, Node } from "@pgsql/types";
import type { CatalogColumn } from "../../shardmap/catalog.ts";
import { refuse } from "../refusal.ts";
import type { CopyDataFormat } from "./copy-plan.ts";

export interface CopyOptions {
  readonly format: CopyDataFormat;
  readonly header: "none" | "skipped" | "matched";
  readonly forceQuote: ColumnChoice;
  readonly forceNull: ColumnChoice;
  readonly forceNotNull: ColumnChoice;
  /** DEFAULT: what stands for a column's default in the data. */
  readonly defaultText: string | undefined;
}

/** Names, or every column. */
export type ColumnChoice = readonly string[] | "all";

/** Of FREEZE each server that gets rows checks whether its table is as new as it asks. */
const OF_ROWS_IN: ReadonlySet<string> = new Set(["freeze", "default"]);

const KNOWN: ReadonlySet<string> = new Set([
  "format",
  "delimiter",
  "null",
  "header",
  "quote",
  "escape",
  "force_quote",
  "force_null",
  "force_not_null",
  "encoding",
  "log_verbosity",
]);

/** The proxy reads data in UTF-8, which is every session's encoding. */
const UTF8_NAMES: ReadonlySet<string> = new Set(["utf8", "utf-8", "unicode"]);

/** Throws PlanRefused for options under which the proxy could not tell rows and keys as the server does. */
export function copyOptions({ options = [], is_from }: CopyStmt): CopyOptions {
  const given = new Map<string, DefElem>();
  for (const option of options) {
    if (!("DefElem" in option)) continue;
    const name = option.DefElem.defname ?? "";
    if (given.has(name))
      refuse("copy_option_not_supported", "conflicting or redundant options", {
        location: option.DefElem.location,
      });
    const isKnown = KNOWN.has(name) || (is_from === true && OF_ROWS_IN.has(name));
    if (!isKnown && !isOff(name, option.DefElem)) refuseOption(name, option.DefElem);
    given.set(name, option.DefElem);
  }
  const encoding = given.get("encoding");
  if (encoding !== undefined && !UTF8_NAMES.has((textOf(encoding.arg) ?? "").toLowerCase()))
    refuseOption("encoding", encoding);
  const format = dataFormat(given);
  const headerOption = given.get("header");
  const header = headerOf(headerOption, is_from === true);
  if (format.kind === "binary" && header !== "none" && headerOption !== undefined)
    refuseOption("header", headerOption);
  return {
    format,
    header,
    forceQuote: columnsOf(given.get("force_quote")?.arg),
    forceNull: columnsOf(given.get("force_null")?.arg),
    forceNotNull: columnsOf(given.get("force_not_null")?.arg),
    defaultText: textOf(given.get("default")?.arg),
  };
}

/** FREEZE false and ON_ERROR stop are what holds anyway. */
function isOff(name: string, { arg }: DefElem): boolean {
  const text = textOf(arg)?.toLowerCase();
  const isFalse = ["false", "off", "0"].includes(text ?? "");
  return (name === "freeze" && isFalse) || (name === "on_error" && text === "stop");
}

function refuseOption(name: string, { location }: DefElem): never {
  return refuse(
    "copy_option_not_supported",
    `COPY option "${name}" is not supported for a table of several placements`,
    { location },
  );
}

function dataFormat(given: ReadonlyMap<string, DefElem>): CopyDataFormat {
  const kind = textOf(given.get("format")?.arg) ?? "text";
  const option = (name: string, otherwise: string) => {
    const element = given.get(name);
    const text = textOf(element?.arg) ?? otherwise;
    if (element !== undefined && name !== "null" && Buffer.byteLength(text) !== 1)
      refuseOption(name, element);
    return text;
  };
  switch (kind) {
    case "binary":
      return { kind };
    case "csv": {
      const quote = option("quote", '"');
      return {
        kind,
        delimiter: option("delimiter", ","),
        nullText: option("null", ""),
        quote,
        escape: option("escape", quote),
      };
    }
    case "text":
      return { kind, delimiter: option("delimiter", "\t"), nullText: option("null", "\\N") };
    default:
      return refuse("copy_option_not_supported", `COPY format "${kind}" not recognized`, {
        location: given.get("format")?.location,
        hint: "The formats are text, csv and binary.",
      });
  }
}

function headerOf(option: DefElem | undefined, isFrom: boolean): CopyOptions["header"] {
  if (option === undefined) return "none";
  const text = textOf(option.arg)?.toLowerCase() ?? "true";
  if (text === "match" && !isFrom)
    refuse("copy_option_not_supported", 'cannot use "match" with HEADER in COPY TO');
  if (text === "match") return "matched";
  if (["true", "on", "1"].includes(text)) return "skipped";
  if (["false", "off", "0"].includes(text)) return "none";
  return refuseOption("header", option);
}

function columnsOf(value: Node | undefined): ColumnChoice {
  if (value === undefined) return [];
  if ("A_Star" in value) return "all";
  const items = "List" in value ? (value.List.items ?? []) : [];
  return items.flatMap((item) => textOf(item) ?? []);
}

function textOf(value: Node | undefined): string | undefined {
  if (value === undefined) return undefined;
  if ("String" in value) return value.String.sval ?? "";
  if ("Boolean" in value) return String(value.Boolean.boolval ?? false);
  return "Integer" in value ? String(value.Integer.ival ?? 0) : undefined;
}

/** Of a column list, in either direction. */
export function refuseGenerated({ name, fill }: CatalogColumn): void {
  if (fill.kind !== "generated") return;
  refuse("copy_column_generated", `column "${name}" is a generated column`, {
    detail: "Generated columns cannot be used in COPY.",
  });
}
