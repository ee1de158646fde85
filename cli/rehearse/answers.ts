/** What `migrate plan` and `migrate preflight` answer with --json, as far as a rehearsal reads it. */

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Refused {
  readonly refusals?: readonly { readonly object: string; readonly because: string }[];
}

export function refusalsOf(plan: unknown): string {
  const { refusals = [] } = (plan ?? {}) as Refused;
  return refusals.map(({ object, because }) => `${object}: ${because}`).join("; ");
}

interface Found {
  readonly findings: readonly {
    readonly id: string;
    readonly severity: string;
    readonly database: string;
    readonly object: string;
    readonly message: string;
    readonly remedy: string;
  }[];
}

export function errorsOf(reports: unknown): string {
  return ((reports ?? []) as readonly Found[])
    .flatMap(({ findings }) => findings)
    .filter(({ severity }) => severity === "error")
    .map(
      ({ id, database, object, message, remedy }) =>
        `${id}: ${database}: ${object} ${message}. ${remedy}`,
    )
    .join("; ");
}
