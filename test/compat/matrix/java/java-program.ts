/**
 * A program in Java: one of this project's main classes. Maven compiles them all into the
 * program's cache folder, with the libraries of pom.xml, which it keeps in a repository beside it.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { glob, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../../tidy/sources.ts";
import type { CompatProgram, Missing, Ready } from "../compat-program.ts";

const run = promisify(execFile);

const PROJECT = join(ROOT, "test", "compat", "matrix", "java");
/** What the classes were compiled from, so that a second set-up finds it done. */
const COMPILED = "compiled.sha256";
const RELEASE_MIN = 17;

export interface JavaProgram {
  readonly name: string;
  /** Below colonnade.compat, with a class Main. */
  readonly package: string;
  /** As pom.xml names the artifact that it is about. */
  readonly artifact: string;
  readonly checks?: CompatProgram["checks"];
  readonly extraChecks?: CompatProgram["extraChecks"];
}

export function javaProgram(java: JavaProgram): CompatProgram {
  const { name, artifact, checks, extraChecks } = java;
  return {
    name,
    language: "Java",
    ...(checks && { checks }),
    ...(extraChecks && { extraChecks }),
    setup: compile,
    command: (cacheFolder) => [
      "java",
      "-classpath",
      [join(cacheFolder, "classes"), join(cacheFolder, "libraries", "*")].join(delimiter),
      `colonnade.compat.${java.package}.Main`,
    ],
    version: async () => {
      const pom = await readFile(join(PROJECT, "pom.xml"), "utf8");
      const wanted = new RegExp(`<artifactId>${artifact}</artifactId>\\s*<version>([^<]+)<`);
      return wanted.exec(pom)?.[1] ?? "";
    },
  };
}

async function compile(cacheFolder: string, signal: AbortSignal): Promise<Ready | Missing> {
  const sources = await digest();
  const marker = join(cacheFolder, COMPILED);
  if (!(await hasJava(signal))) return { missing: `JDK ${RELEASE_MIN} or later (java, javac)` };
  if ((await readFile(marker, "utf8").catch(() => undefined)) === sources) return {};
  if (!(await succeeds("mvn", ["--version"], signal))) return { missing: "Maven (mvn)" };
  const settings = [
    `-Dmaven.repo.local=${join(dirname(cacheFolder), "maven-repository")}`,
    `-Dcompat.build=${cacheFolder}`,
  ];
  await run("mvn", ["--quiet", "--batch-mode", ...settings, "process-classes"], {
    cwd: PROJECT,
    signal,
  });
  await writeFile(marker, sources);
  return {};
}

async function digest(): Promise<string> {
  const hash = createHash("sha256").update(await readFile(join(PROJECT, "pom.xml")));
  const files: string[] = [];
  for await (const file of glob("src/**/*.java", { cwd: PROJECT })) files.push(file);
  for (const file of files.toSorted()) {
    hash.update(file).update(await readFile(join(PROJECT, file)));
  }
  return hash.digest("hex");
}

async function hasJava(signal: AbortSignal): Promise<boolean> {
  const release = ["--release", String(RELEASE_MIN), "--version"];
  return (
    (await succeeds("java", ["--version"], signal)) && (await succeeds("javac", release, signal))
  );
}

async function succeeds(
  file: string,
  words: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await run(file, words, { signal });
    return true;
  } catch {
    return false;
  }
}
