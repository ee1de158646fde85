/**
 * What the console is told to do: its own commands, and the few statements that drivers and
 * pools send by themselves (BEGIN, SET, SELECT 1, DISCARD ALL). From text to data; whether
 * the names in it mean anything is not known here.
 */
import { SqlError } from "../../base/sql-error.ts";
import { consoleTokens } from "./console-tokens.ts";
import type { Token } from "./console-tokens.ts";

export type ConsoleStatement =
  | { readonly kind: "empty" }
  /** `name` in lower case, as it is listed by SHOW HELP, or a setting's. */
  | { readonly kind: "show"; readonly name: string; readonly position: number }
  | { readonly kind: "reload" | "drain" }
  /** All databases where none is named. */
  | { readonly kind: "pause" | "resume"; readonly database: string | undefined }
  | { readonly kind: "killClient"; readonly id: number }
  | { readonly kind: "killDatabase"; readonly database: string }
  | { readonly kind: "begin" | "commit" | "rollback" }
  | {
      readonly kind: "set";
      readonly name: string;
      readonly value: string;
      readonly position: number;
    }
  /** Nothing of what it resets, or frees, exists here: pools send it before they lend a connection. */
  | { readonly kind: "clean"; readonly tag: string; readonly forgetsStatements: boolean }
  | { readonly kind: "select"; readonly items: readonly SelectItem[] };

export interface SelectItem {
  readonly column: string;
  readonly value:
    | { readonly kind: "integer"; readonly value: number }
    | { readonly kind: "text"; readonly value: string }
    | { readonly kind: "fact"; readonly name: Fact };
}

/** What drivers ask a server about itself. */
const FACTS = [
  "version",
  "current_database",
  "current_schema",
  "current_user",
  "session_user",
  "pg_backend_pid",
] as const;
export type Fact = (typeof FACTS)[number];

const INTEGER_MAX = 2 ** 31 - 1;

/** The statements of a query string; one without any is one empty statement. */
export function readConsoleStatements(sql: string): readonly ConsoleStatement[] {
  const statements: Token[][] = [[]];
  for (const token of consoleTokens(sql)) {
    if (token.kind === "symbol" && token.text === ";") statements.push([]);
    else statements.at(-1)?.push(token);
  }
  const filled = statements.filter((tokens) => tokens.length > 0);
  if (filled.length === 0) return [{ kind: "empty" }];
  return filled.map((tokens) => new StatementReader(tokens).read());
}

class StatementReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  read(): ConsoleStatement {
    const statement = this.#statement();
    const left = this.#tokens[this.#at];
    if (left !== undefined) throw syntaxError(left);
    return statement;
  }

  #statement(): ConsoleStatement {
    const first = this.#next();
    switch (first.kind === "word" ? first.text : "") {
      case "show":
        return this.#show();
      case "reload":
        return { kind: "reload" };
      case "drain":
        return { kind: "drain" };
      case "pause":
        return { kind: "pause", database: this.#optionalName() };
      case "resume":
        return { kind: "resume", database: this.#optionalName() };
      case "kill":
      case "kill_client":
        return this.#kill();
      case "select":
        return this.#select();
      case "set":
        return this.#set();
      default:
        return this.#transactionOrCleaning(first);
    }
  }

  #transactionOrCleaning(first: Token): ConsoleStatement {
    switch (first.kind === "word" ? first.text : "") {
      case "begin":
      case "start":
        this.#skipAll();
        return { kind: "begin" };
      case "commit":
      case "end":
        this.#skipNoise();
        return { kind: "commit" };
      case "rollback":
      case "abort":
        this.#skipNoise();
        return { kind: "rollback" };
      case "discard":
        this.#word("all");
        return { kind: "clean", tag: "DISCARD ALL", forgetsStatements: true };
      case "deallocate":
        this.#optional("prepare");
        this.#word("all");
        return { kind: "clean", tag: "DEALLOCATE ALL", forgetsStatements: true };
      case "reset":
        this.#name();
        return { kind: "clean", tag: "RESET", forgetsStatements: false };
      case "unlisten":
        this.#next();
        return { kind: "clean", tag: "UNLISTEN", forgetsStatements: false };
      case "close":
        this.#word("all");
        return { kind: "clean", tag: "CLOSE CURSOR ALL", forgetsStatements: false };
      default:
        throw syntaxError(first);
    }
  }

  /** In either case, quoted or not, as in PgBouncer. */
  #show(): ConsoleStatement {
    const { position } = this.#peek() ?? this.#last();
    const words = [this.#name()];
    while (this.#peek() !== undefined) words.push(this.#name());
    return { kind: "show", name: words.join(" ").toLowerCase(), position };
  }

  #kill(): ConsoleStatement {
    const token = this.#next();
    if (token.kind !== "number") return { kind: "killDatabase", database: nameIn(token) };
    const id = Number(token.text);
    if (!Number.isInteger(id) || id > INTEGER_MAX) throw syntaxError(token);
    return { kind: "killClient", id };
  }

  /** `SET [SESSION | LOCAL] name {= | TO} value`, `SET TIME ZONE value`, `SET NAMES value`, and the transaction's characteristics. */
  #set(): ConsoleStatement {
    if (!this.#optional("session")) this.#optional("local");
    const { position } = this.#peek() ?? this.#last();
    const name = this.#name();
    if (name === "characteristics" || name === "transaction") {
      this.#skipAll();
      return { kind: "set", name: "transaction_isolation", value: "", position };
    }
    if (name === "time") this.#word("zone");
    else if (name !== "names" && !this.#optional("to") && !this.#optional("=")) {
      throw syntaxError(this.#peek() ?? this.#last());
    }
    const values = [this.#next().text];
    while (this.#optional(",")) values.push(this.#next().text);
    const setting = name === "time" ? "timezone" : name;
    const value = values.join(", ");
    return {
      kind: "set",
      name: setting === "names" ? "client_encoding" : setting,
      value,
      position,
    };
  }

  #select(): ConsoleStatement {
    const items = [this.#item()];
    while (this.#optional(",")) items.push(this.#item());
    return { kind: "select", items };
  }

  #item(): SelectItem {
    const { value, column } = this.#value();
    if (this.#optional("as")) return { value, column: this.#name() };
    const next = this.#peek();
    const isAlias = next?.kind === "word" || next?.kind === "quoted";
    return { value, column: isAlias ? this.#name() : column };
  }

  #value(): SelectItem {
    const token = this.#next();
    if (token.kind === "number" && /^\d+$/.test(token.text) && Number(token.text) <= INTEGER_MAX) {
      return { column: "?column?", value: { kind: "integer", value: Number(token.text) } };
    }
    if (token.kind === "string")
      return { column: "?column?", value: { kind: "text", value: token.text } };
    if (token.kind === "word" && token.text === "pg_catalog" && this.#optional("."))
      return this.#fact(this.#next());
    return this.#fact(token);
  }

  #fact(token: Token): SelectItem {
    const name = FACTS.find((fact) => token.kind === "word" && fact === token.text);
    if (name === undefined) throw syntaxError(token);
    if (this.#optional("(") && !this.#optional(")"))
      throw syntaxError(this.#peek() ?? this.#last());
    return { column: name, value: { kind: "fact", name } };
  }

  #optionalName(): string | undefined {
    return this.#peek() === undefined ? undefined : this.#name();
  }

  #name(): string {
    return nameIn(this.#next());
  }

  #word(text: string): void {
    const token = this.#next();
    if (token.kind !== "word" || token.text !== text) throw syntaxError(token);
  }

  #optional(text: string): boolean {
    const token = this.#peek();
    if (token === undefined || (token.kind !== "word" && token.kind !== "symbol")) return false;
    if (token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  /** `WORK` or `TRANSACTION`, which mean nothing. */
  #skipNoise(): void {
    if (!this.#optional("work")) this.#optional("transaction");
  }

  /** Modes of a transaction: there is nothing that could be isolated or written. */
  #skipAll(): void {
    this.#at = this.#tokens.length;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) {
      throw new SqlError("console_command_unknown", "syntax error at end of input");
    }
    this.#at += 1;
    return token;
  }

  #last(): Token {
    return this.#tokens.at(-1) ?? { kind: "symbol", text: "", position: 1 };
  }
}

function nameIn(token: Token): string {
  if (token.kind === "word" || token.kind === "quoted") return token.text;
  throw syntaxError(token);
}

function syntaxError({ text, position }: Token): SqlError {
  if (text === "$") {
    const message = "the admin console takes no parameters";
    return new SqlError("console_not_supported", message, { position });
  }
  return new SqlError("console_command_unknown", `syntax error at or near "${text}"`, { position });
}
