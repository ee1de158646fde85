/**
 * The start-up parameter `options`: command-line switches for the server, of which only those
 * that set a setting mean something here.
 * Source: src/backend/utils/init/postinit.c, pg_split_opts and process_startup_options;
 * src/backend/utils/misc/guc.c, ParseLongOption.
 */
import { SqlError } from "../../base/sql-error.ts";

export interface Setting {
  /** In lower case, with `_` for each `-`. */
  readonly name: string;
  readonly value: string;
}

/** Settings in the order given: `-c name=value`, `-cname=value` and `--name=value`. */
export function parseStartupOptions(options: string): readonly Setting[] {
  const settings: Setting[] = [];
  const words = splitOptions(options).values();
  for (const word of words) {
    if (word.startsWith("--") && word.length > 2) {
      settings.push(parseSetting(word.slice(2), word));
    } else if (word === "-c") {
      const { value = "" } = words.next();
      settings.push(parseSetting(value, `-c ${value}`.trimEnd()));
    } else if (word.startsWith("-c")) {
      settings.push(parseSetting(word.slice(2), word));
    } else {
      throw new SqlError(
        "startup_option_not_supported",
        `invalid command-line argument for server process: ${word}`,
      );
    }
  }
  return settings;
}

/** Words are parted by white space; a backslash takes the next character as it is. */
export function splitOptions(options: string): readonly string[] {
  const words: string[] = [];
  for (const [word] of options.matchAll(/(?:\\[^]|[^\s\\])+/g)) {
    words.push(word.replaceAll(/\\([^])/g, "$1"));
  }
  return words;
}

function parseSetting(text: string, word: string): Setting {
  const equals = text.indexOf("=");
  if (equals <= 0) {
    throw new SqlError("startup_option_not_supported", `${word} requires a value`);
  }
  return {
    name: text.slice(0, equals).replaceAll("-", "_").toLowerCase(),
    value: text.slice(equals + 1),
  };
}
