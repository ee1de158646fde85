/** `npm run docs`: writes the generated documents; test/tidy.test.ts fails where one is stale. */
import { writeFileSync } from "node:fs";
import { generatedDocuments } from "./generated-docs.ts";
import { packageFile } from "./package-root.ts";

for (const [path, text] of generatedDocuments()) {
  writeFileSync(packageFile(path), text);
  process.stdout.write(`${path}\n`);
}
