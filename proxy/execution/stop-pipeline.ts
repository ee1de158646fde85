/** Stops several statements that are under way on one connection, and gives the connection up. */
import { PIPELINE_CANCEL_MS, PIPELINE_STOP_MS_MAX } from "../../base/limits.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

/**
 * A cancel request ends the statement that runs, and the server goes on with the next; and who
 * closes the connection is not noticed before there is something to answer. So one after the
 * other is asked to stop. Never rejects; what they answer is nobody's.
 */
export async function stopPipeline(connection: BackendConnection): Promise<void> {
  const end = performance.now() + PIPELINE_STOP_MS_MAX;
  try {
    while (connection.pendingReadyForQuery > 0 && performance.now() < end) {
      await connection.cancel();
      await oneAnswered(connection, AbortSignal.timeout(PIPELINE_CANCEL_MS));
    }
  } catch {
    // It is lost, or its server cannot be asked: nothing can be done for it.
  }
  connection.destroy();
}

async function oneAnswered(connection: BackendConnection, signal: AbortSignal): Promise<void> {
  const before = connection.answeredCount;
  try {
    while (connection.answeredCount === before) await connection.receive(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
