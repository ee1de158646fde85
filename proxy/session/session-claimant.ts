/** A session as one of those who ask for connections. */
import { Claimant } from "../execution/claimant.ts";
import type { Client } from "./client.ts";
import type { Responder } from "./responder.ts";
import type { SessionServices } from "./session-services.ts";

export function sessionClaimant(
  { priorities }: Pick<SessionServices, "priorities">,
  { user }: Pick<Client, "user">,
  responder: Pick<Responder, "told">,
): Claimant {
  return new Claimant(priorities, user, () => responder.told("application_name") ?? "");
}
