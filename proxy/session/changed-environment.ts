/** What a client is to be told of its settings before it is at its turn. */
import type { Environment } from "./environment.ts";
import type { SessionServices } from "./session-services.ts";
import type { StatementRunner } from "./statement-runner.ts";

/**
 * As PostgreSQL, once for all changes since the client was last told; undefined where there are none.
 * What has been done is done: that the settings cannot be read just now is no error, and they are told
 * later.
 */
export async function changedEnvironment(
  { transaction, view }: StatementRunner,
  log: SessionServices["log"],
  signal: AbortSignal,
): Promise<Environment | undefined> {
  if (!transaction.mayHaveChangedSettings) return undefined;
  try {
    const environment = await view.environmentToTell(signal);
    if (environment !== undefined) transaction.mayHaveChangedSettings = false;
    return environment;
  } catch (error) {
    log.debug({ err: error }, "a client's settings cannot be read now");
    return undefined;
  }
}
