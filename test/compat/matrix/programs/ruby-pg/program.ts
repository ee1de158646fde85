/** ruby-pg, on which Active Record and Sequel stand. */
import { type CompatProgram } from "../../compat-program.ts";
import { installedProgram } from "../../installed-program.ts";

export const program: CompatProgram = installedProgram({
  name: "ruby-pg",
  language: "Ruby",
  probe: ["ruby", "-e", 'require "pg"; print PG::VERSION'],
  missing: "Ruby's pg (Debian: ruby-pg)",
  command: ["ruby", "main.rb"],
});
