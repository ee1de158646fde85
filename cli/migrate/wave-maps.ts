/**
 * The texts of the maps between the one in force and the next one. Each is the map in force with some placements
 * of the next one instead of its own; the last one is the next one. Comments of the map in force are not kept.
 *
 * What is written is read back and compared, so that no way to write a value in YAML can change where a row belongs.
 */
import { isDeepStrictEqual } from "node:util";
import { Document, isMap, isScalar, isSeq, parse, visit } from "yaml";
import { printProblem } from "../../base/document/problems.ts";
import { placementsAfter } from "../../migration/plan/waves.ts";
import type { Wave } from "../../migration/plan/waves.ts";
import { withVersion } from "../../shardmap/edit.ts";
import type { Placement, ShardMap } from "../../shardmap/shard-map.ts";
import { CommandFailure } from "../failure.ts";
import { mapOf, readMapText } from "../input-files.ts";

type Fields = Readonly<Record<string, unknown>>;

/** One for each wave, with versions that follow the one in force. */
export function waveMaps(
  before: ShardMap,
  next: ShardMap,
  waves: readonly Wave[],
): readonly ShardMap[] {
  return waves.map((_, index) => {
    const version = before.version + index + 1;
    if (index === waves.length - 1)
      return mapOf(readMapText(withVersion(next.text, version), "the last wave"));
    const over = waves.slice(0, index + 1);
    const text = `# Wave ${index + 1} of ${waves.length}.\n${textAfter(over, before, next, version)}`;
    const file = readMapText(text, `wave ${index + 1}`);
    if (file.kind === "invalid")
      throw cannotBePrinted(`wave ${index + 1}`, file.problems.map(printProblem));
    requireSame(file.map, over, before);
    return file.map;
  });
}

function textAfter(
  waves: readonly Wave[],
  before: ShardMap,
  next: ShardMap,
  version: number,
): string {
  const [old, now] = [fieldsOf(before.text), fieldsOf(next.text)];
  const databases = { ...fields(old["databases"]) };
  const colocations = { ...fields(old["colocations"]) };
  for (const name of new Set(waves.flat().map(({ colocation }) => colocation))) {
    const { stay, come } = placementsAfter(waves, before, name);
    for (const { database } of come) databases[database] ??= fields(now["databases"])[database];
    const placements = [...entriesOf(before, old, name, stay), ...entriesOf(next, now, name, come)];
    // Shards of ranges and lists are numbered as they come in the file.
    placements.sort((one, other) => one.firstShard - other.firstShard);
    const entries = placements.map(({ entry }) => entry);
    colocations[name] = { ...fields(colocations[name]), placements: entries };
  }
  return printed({ ...old, version, databases, colocations });
}

/** Placements are listed in the order of the file. */
function entriesOf(
  map: ShardMap,
  file: Fields,
  colocation: string,
  wanted: readonly Placement[],
): readonly { readonly entry: unknown; readonly firstShard: number }[] {
  const ids = new Set(wanted.map(({ id }) => id));
  const { placements: entries } = fields(fields(file["colocations"])[colocation]);
  const placements = map.colocations.get(colocation)?.placements ?? [];
  return placements.flatMap(({ id, shards }, index) =>
    ids.has(id) && Array.isArray(entries)
      ? [{ entry: entries[index], firstShard: Math.min(...shards) }]
      : [],
  );
}

/** One line a placement and a database. */
function printed(file: Fields): string {
  const document = new Document(file, { aliasDuplicateObjects: false });
  visit(document, {
    Pair: (_, { key, value }) => {
      const name = isScalar(key) ? key.value : undefined;
      const entries =
        name === "placements" && isSeq(value)
          ? value.items
          : name === "databases" && isMap(value)
            ? value.items.map((pair) => pair.value)
            : [];
      for (const entry of entries) if (isMap(entry)) entry.flow = true;
    },
  });
  return document.toString({ lineWidth: 0 });
}

/** Every row of every colocation is where the map in force has it, or where the next one has. */
function requireSame(map: ShardMap, waves: readonly Wave[], before: ShardMap): void {
  for (const [name, old] of before.colocations) {
    const { stay, come } = placementsAfter(waves, before, name);
    const wanted = new Map(
      [...stay, ...come].flatMap(({ id, shards }) => shards.map((shard) => [Number(shard), id])),
    );
    const now = map.colocations.get(name);
    const isSame =
      now !== undefined &&
      isDeepStrictEqual(
        [now.keyTypes, now.function, now.tables],
        [old.keyTypes, old.function, old.tables],
      ) &&
      now.placementByShard.every(({ id }, shard) => wanted.get(shard) === id);
    if (!isSame) throw cannotBePrinted(`colocation ${name}`);
  }
}

function cannotBePrinted(what: string, problems: readonly string[] = []): CommandFailure {
  const refusal = `${what} cannot be written in steps: its values read otherwise once they are printed. Write the maps by hand`;
  return new CommandFailure([refusal, ...problems].join("\n"));
}

/** Whole numbers of any size stay what they are. */
function fieldsOf(text: string): Fields {
  return fields(parse(text, { merge: true, intAsBigInt: true }));
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
