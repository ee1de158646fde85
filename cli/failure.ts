/**
 * How a command ends when it cannot do what was asked: one line for a person, and an
 * exit code for a script.
 *
 *     0   done
 *     1   done, and the answer is no: the map has errors, the statement is refused
 *     2   not done: a wrong flag, a missing file, a taken port, a server that is away
 *     3   of a rehearsal: a promise is broken
 *     4   of a rehearsal: it did not come to its end
 */
import { SqlError } from "../base/sql-error.ts";

export type ExitCode = 1 | 2 | 3 | 4;

export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: ExitCode;

  /** The message is whole sentences or one clause; it may hold several lines where several things are wrong. */
  constructor(message: string, exitCode: ExitCode = 2, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** What went wrong with a file or a port, in words instead of Node's codes. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EISDIR":
      return "it is a directory";
    case "ENOTDIR":
      return "a part of its path is not a directory";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EROFS":
      return "the file system is read-only";
    case "ENOSPC":
      return "the disk is full";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** The reason, and of an error of ours also where it happened and what to do. */
export function reasonAndRemedy(error: unknown): string {
  if (!(error instanceof SqlError)) return reasonOf(error);
  const { message, detail, hint } = error;
  if (detail === undefined && hint === undefined) return message;
  return [`${message}.`, detail, hint].filter((part) => part !== undefined).join(" ");
}
