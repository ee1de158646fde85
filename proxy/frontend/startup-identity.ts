/** Who a client says it is in its startup packet, what it wants to reach, and with which settings. */
import { SqlError } from "../../base/sql-error.ts";
import { startupSettings } from "../protocol/startup.ts";
import type { Startup } from "../protocol/startup.ts";
import { parseStartupOptions } from "../protocol/startup-options.ts";

export function readIdentity(startup: Startup): {
  readonly user: string;
  readonly database: string;
} {
  const user = startup.parameters.get("user") ?? "";
  if (user === "") {
    throw new SqlError(
      "startup_user_missing",
      "no PostgreSQL user name specified in startup packet",
    );
  }
  const replication = startup.parameters.get("replication");
  if (replication !== undefined && !/^(0|off?|f(a(l(se?)?)?)?|no?)$/i.test(replication)) {
    throw new SqlError("replication_not_supported", "replication connections are not supported");
  }
  const database = startup.parameters.get("database") ?? "";
  return { user, database: database === "" ? user : database };
}

/** Settings of their own parameters win over those in `options`, as in process_startup_options. */
export function readSettings(startup: Startup): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const { name, value } of parseStartupOptions(startup.parameters.get("options") ?? "")) {
    settings.set(name, value);
  }
  for (const [name, value] of startupSettings(startup)) settings.set(name, value);
  return settings;
}
