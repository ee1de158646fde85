/** The objects of a file's schema: exactly the fields they list, all others reported by name. */
import { z } from "zod";

/** The message for an unknown field lists the fields there are; issues.ts makes a suggestion from it. */
export function fields<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys" ? Object.keys(shape).join(" ") : undefined,
  });
}
