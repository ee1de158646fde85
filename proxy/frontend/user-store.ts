/** Where users' secrets are looked up, and the forms a secret is stored in. */
import { isMd5Secret } from "../protocol/md5.ts";
import type { Md5Secret } from "../protocol/md5.ts";
import { parseScramVerifier } from "../protocol/scram.ts";
import type { ScramVerifier } from "../protocol/scram.ts";

export interface UserStore {
  /** Undefined for a user that does not exist or has no password. The same object as long as the secret is the same. */
  lookup(user: string): Promise<StoredSecret | undefined>;
}

export type StoredSecret =
  | { readonly kind: "plain"; readonly password: Buffer }
  | { readonly kind: "md5"; readonly secret: Md5Secret }
  | { readonly kind: "scram"; readonly verifier: ScramVerifier };

/** Tells the forms apart as PostgreSQL's get_password_type does; an empty secret is none. */
export function parseStoredSecret(text: string): StoredSecret | undefined {
  if (text === "") return undefined;
  if (isMd5Secret(text)) return { kind: "md5", secret: text };
  const verifier = parseScramVerifier(text);
  if (verifier !== undefined) return { kind: "scram", verifier };
  return { kind: "plain", password: Buffer.from(text, "utf8") };
}
