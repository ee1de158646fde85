/** Puts each script to a plain PostgreSQL and to the proxy, at two paces, and compares what they said. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { converse } from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers, Spread } from "./servers.ts";

export interface Case {
  readonly script: Script;
  /** Startup settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the proxy's answer is another by design. */
  readonly differs?: Difference;
}

export interface Difference {
  readonly because: string;
  /** Beginnings of PostgreSQL's lines, each with what the proxy says instead, or nothing. */
  readonly instead: readonly (readonly [plain: string, proxied: string | undefined])[];
}

/** Each difference must still be one: what PostgreSQL no longer says is listed for nothing. */
function asProxySays(lines: readonly string[], differs: Difference | undefined): readonly string[] {
  let said = lines;
  for (const [plain, proxied] of differs?.instead ?? []) {
    expect(said.some((line) => line.startsWith(plain))).toBe(true);
    said = said.flatMap((line) => {
      if (!line.startsWith(plain)) return [line];
      return proxied === undefined ? [] : [proxied];
    });
  }
  return said;
}

/** In which order a server tells of several settings at once is said nowhere, and differs from change to change. */
function inNameOrder(lines: readonly string[]): readonly string[] {
  const ordered: string[] = [];
  let told: string[] = [];
  for (const line of [...lines, ""]) {
    if (line.startsWith("ParameterStatus")) {
      told.push(line);
      continue;
    }
    ordered.push(...told.toSorted(), line);
    told = [];
  }
  return ordered.slice(0, -1);
}

/** `prepare`: once, before the first of the cases. */
export function comparing(
  title: string,
  cases: Readonly<Record<string, Case>>,
  prepare: (servers: Servers) => Promise<void> = async () => undefined,
  spread: Spread = "three",
): void {
  let servers: Servers;
  beforeAll(async () => {
    servers = await startServers({}, spread);
    await prepare(servers);
  });
  afterAll(async () => {
    await servers[Symbol.asyncDispose]();
  });
  beforeEach(() => servers.reset());

  describe(`${title}, compared`, () => {
    for (const [name, { script, settings, differs }] of Object.entries(cases)) {
      for (const pace of ["at once", "one by one"] as const) {
        test(`${name} (${pace})`, async () => {
          const said = async (connect: Promise<RawClient>): Promise<readonly string[]> => {
            const client = await connect;
            try {
              return await converse(client, script, pace);
            } finally {
              client.destroy();
            }
          };
          const plain = inNameOrder(await said(servers.connectPlain(settings)));
          const proxied = inNameOrder(await said(servers.proxy.connect(settings)));
          expect(proxied).toEqual(asProxySays(plain, differs));
        });
      }
    }
  });
}
