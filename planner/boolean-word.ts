/** The words that PostgreSQL's parse_bool() takes (bool.c), unique prefixes included. */
export function isOn(value: string): boolean {
  const word = value.trim().toLowerCase();
  return (
    word === "1" ||
    word === "on" ||
    (word !== "" && ("true".startsWith(word) || "yes".startsWith(word)))
  );
}

export function isOff(value: string): boolean {
  const word = value.trim().toLowerCase();
  return (
    word === "0" ||
    word === "of" ||
    (word !== "" && ("false".startsWith(word) || "no".startsWith(word))) ||
    word === "off"
  );
}
