/** Clients that send damaged SQL texts, in whole frames. */
import type { Random } from "../differential/random.ts";
import type { RawClient } from "../support/raw-client.ts";
import { parseFrame, queryFrame, readFields, syncFrame } from "../support/raw-frames.ts";
import { mutateSql } from "./mutate.ts";

const CONNECTIONS = 6;

const TEXTS: readonly string[] = [
  "SELECT name, age FROM users WHERE id = 42",
  "SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 7 ORDER BY o.id DESC LIMIT 3",
  "SELECT age, count(*), sum(age), avg(age) FROM users GROUP BY age HAVING count(*) > 1 ORDER BY age NULLS FIRST",
  "INSERT INTO users (id, name, age) VALUES (1, 'it''s', 5), (2, E'\\n', NULL), (3, $$x$$, 7) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id",
  "UPDATE users SET name = upper(name), age = CASE WHEN age > 3 THEN 1 ELSE age + 1 END WHERE id IN (1, 2, 3) RETURNING *",
  "DELETE FROM orders USING users u WHERE u.id = orders.user_id AND orders.user_id = 5",
  "WITH w AS (SELECT id FROM users WHERE id = 3) SELECT * FROM w UNION ALL SELECT user_id FROM orders WHERE user_id = 3",
  "SELECT id, row_number() OVER (PARTITION BY id ORDER BY age) FROM users WHERE id = ANY (ARRAY[1, 2, 3]::bigint[])",
  "SELECT * FROM users WHERE (name LIKE '%a%' OR age IS NOT NULL) AND id BETWEEN 1 AND 9 AND EXISTS (SELECT 1 FROM orders WHERE user_id = users.id)",
  "SELECT 'x'::text || name, id::numeric(10, 2), date '2024-02-29' + 1, interval '1 day' FROM users WHERE id = '5' -- comment",
  'SELECT /* a /* nested */ comment */ "id", U&"\\0061ge" FROM public.users AS "U" (id, name) WHERE "U".id = -1',
  "EXPLAIN SELECT * FROM users WHERE id = 1",
  "SHOW TimeZone",
];

/** Counts of outcomes: SQLSTATEs, `answered`. A lost connection throws. */
export async function damageStatements(
  connect: () => Promise<RawClient>,
  random: Random,
  statements: number,
): Promise<Map<string, number>> {
  const states = new Map<string, number>();
  let sent = 0;
  const worker = async (): Promise<void> => {
    const client = await connect();
    while (sent < statements) {
      sent += 1;
      const sql = mutateSql(random.pick(TEXTS), TEXTS, random);
      const bytes = random.chance(50) ? queryFrame(sql) : parseWith(sql);
      const state = await stateOf(client, bytes, sql);
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    await client.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return states;
}

export function parseWith(sql: string): Buffer {
  return Buffer.concat([parseFrame("", sql, []), syncFrame()]);
}

export async function stateOf(client: RawClient, bytes: Buffer, sql = ""): Promise<string> {
  const { messages, status } = await client.exchange(bytes).catch((cause: unknown) => {
    throw new Error(`no answer to: ${sql}`, { cause });
  });
  if (status !== "I") await client.exchange(queryFrame("ROLLBACK"));
  const failed = messages.find(({ type }) => type === "E");
  return failed === undefined ? "answered" : (readFields(failed.body)["C"] ?? "");
}
