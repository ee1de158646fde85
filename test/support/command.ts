/** Runs the command line as a person does: the way in which a rehearsal does it, too. */
export { runCommand, startCommand } from "../../cli/rehearse/program.ts";
export type { CommandResult, RunningCommand } from "../../cli/rehearse/program.ts";
