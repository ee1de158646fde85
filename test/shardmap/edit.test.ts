/** Edits of a map's text: the text that is asked for is another one, and nothing else. */
import { expect, test } from "vitest";
import { withServerUrls, withVersion } from "../../shardmap/edit.ts";

const TEXT = `# before
version: 7   # counts up
databases:
  # the first
  b: { embedded: true } # stays
  a:
    embedded: true
  c: { primary: "postgres://c@db/c" }
catalog: b
`;

test("the version alone", () => {
  expect(withVersion(TEXT, 12)).toBe(TEXT.replace("version: 7 ", "version: 12 "));
});

test("URLs in the place of what was said of some servers, however it was written", () => {
  const urls = new Map([
    ["a", 'postgres://a@h/a?x="'],
    ["b", "postgres://b@h/b"],
  ]);
  expect(withServerUrls(TEXT, urls)).toBe(
    TEXT.replace("{ embedded: true }", '{ primary: "postgres://b@h/b" }').replace(
      "embedded: true\n",
      '{ primary: "postgres://a@h/a?x=\\"" }\n',
    ),
  );
});
