/** What is prepared in all databases now, for an operator: recovery decides it without them. */
import { RECOVERY_PASS_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { parsePreparedName } from "./commit-record.ts";
import type { InDoubt } from "./in-doubt.ts";

export interface InDoubtReport {
  readonly transactions: readonly InDoubtTransaction[];
  /** Databases that could not be asked, with the reason. */
  readonly unreachable: readonly { readonly database: DatabaseName; readonly error: string }[];
}

/** One prepared part. A commit under way has some for milliseconds. */
interface InDoubtTransaction {
  readonly database: DatabaseName;
  /** As in pg_prepared_xacts, for COMMIT PREPARED and ROLLBACK PREPARED. */
  readonly name: string;
  /** Where `colonnade.commit_record` says what was decided; null for a name that is not ours. */
  readonly coordinator: DatabaseName | null;
  readonly transaction: string | null;
  readonly age_ms: number;
}

/** Never rejects. */
export async function reportInDoubt(
  inDoubt: InDoubt,
  databases: readonly DatabaseName[],
): Promise<InDoubtReport> {
  const signal = AbortSignal.timeout(RECOVERY_PASS_TIMEOUT_MS);
  const answers = await Promise.allSettled(
    databases.map((database) => inDoubt.list(database, signal)),
  );
  const transactions: InDoubtTransaction[] = [];
  const unreachable: { readonly database: DatabaseName; readonly error: string }[] = [];
  for (const [index, database] of databases.entries()) {
    const answer = answers[index];
    if (answer?.status === "rejected")
      unreachable.push({ database, error: (answer.reason as Error).message });
    for (const { name, ageMs } of answer?.status === "fulfilled" ? answer.value : []) {
      const transaction = parsePreparedName(name)?.transaction;
      transactions.push({
        database,
        name,
        coordinator: transaction?.coordinator ?? null,
        transaction: transaction?.id ?? null,
        age_ms: ageMs,
      });
    }
  }
  return { transactions, unreachable };
}
