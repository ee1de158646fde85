/** The value where the test knows there is one; the test fails where there is none. */
export function found<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error("the test expects a value here");
  return value;
}
