/**
 * Ends processes of a rehearsal when the one that started them is killed: else proxies would go on
 * by themselves, looking for servers that are gone. A shell of its own reads who is there from a
 * pipe; that the pipe ends is how it learns of our death, whatever that was.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Writable } from "node:stream";

/** Builtins only. Each process leads a group, in which its workers are. */
const SCRIPT = `there=""
while read -r what pid; do
  case "$what" in
    begun) there="$there $pid" ;;
    ended) left=""; for each in $there; do [ "$each" = "$pid" ] || left="$left $each"; done; there="$left" ;;
  esac
done
for each in $there; do kill -KILL "-$each"; done`;

let watch: ChildProcess | undefined;

/** `child`: detached, so that it leads a group of processes. */
export function endWithUs(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  watch ??= startWatch();
  const pipe = watch.stdin;
  pipe?.write(`begun ${pid}\n`);
  child.once("exit", () => pipe?.write(`ended ${pid}\n`));
}

/** It does not keep us from ending. */
function startWatch(): ChildProcess {
  const shell = spawn("/bin/sh", ["-c", SCRIPT, "colonnade-rehearsal-watch"], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.on("error", () => undefined);
  shell.unref();
  const pipe = shell.stdin as (Writable & { unref?: () => void }) | null;
  pipe?.on("error", () => undefined);
  pipe?.unref?.();
  return shell;
}
