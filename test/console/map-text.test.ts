import { expect, test } from "vitest";
import { textWithoutPasswords } from "../../proxy/console/map-text.ts";
import { parseShardMap } from "../../shardmap/schema.ts";

function shown(databases: string): string | undefined {
  const read = parseShardMap(`version: 1\ncatalog: main\ndatabases:\n${databases}\n`, "map.yaml");
  if (!("map" in read)) throw new Error(JSON.stringify(read.problems));
  return textWithoutPasswords(read.map);
}

test.each([
  [
    '  main: { primary: "postgres://app:s3cret@h/app" } # ours',
    '  main: { primary: "postgres://app:***@h/app" } # ours',
  ],
  [
    "  main: { primary: postgresql://app:s3cret@h/app }",
    "  main: { primary: postgresql://app:***@h/app }",
  ],
  [
    "  main: { primary: 'postgres://app@h/app?password=s3cret&sslmode=disable' }",
    "  main: { primary: 'postgres://app@h/app?password=***&sslmode=disable' }",
  ],
  [
    "  # was postgres://app:s3cret@old/app\n  main: { primary: postgres://app@h/app }",
    "  # was postgres://app:***@old/app\n  main: { primary: postgres://app@h/app }",
  ],
  [
    "  main: { primary: postgres://app:s3cre%40t@h/app, replicas: [postgres://app:s3cret@r/app] }",
    "  main: { primary: postgres://app:***@h/app, replicas: [postgres://app:***@r/app] }",
  ],
])("passwords are hidden, all else stays: %s", (databases, expected) => {
  expect(shown(databases)).toBe(`version: 1\ncatalog: main\ndatabases:\n${expected}\n`);
});

test("a password that would not be hidden hides the whole text", () => {
  expect(shown('  main: { primary: "postgres://app:s3\\\n    cret@h/app" }')).toBeUndefined();
});

test("a map without passwords is shown as it is, twice alike", () => {
  const text = "  main: { primary: postgres://app@h/app }";
  expect(shown(text)).toBe(`version: 1\ncatalog: main\ndatabases:\n${text}\n`);
});
