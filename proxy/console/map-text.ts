/** The shard map's YAML as it may be shown: as it was written, but for passwords. */
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { parseBackendAddress } from "../backend/backend-address.ts";

const HIDDEN = "***";

/** Up to the last `@`: rather too much is hidden than the end of a password shown. */
const URL_PASSWORD = /(postgres(?:ql)?:\/\/[^\s"'@/:]*:)[^\s"']*@/gi;
const PARAMETER_PASSWORD = /([?&]password=)[^&\s"']*/gi;

/**
 * Comments are treated alike: they may hold an address that was in use. Undefined where a
 * password stands so strangely (a URL over several lines) that it would not be hidden.
 */
export function textWithoutPasswords(map: ShardMap): string | undefined {
  const text = map.text
    .replaceAll(URL_PASSWORD, `$1${HIDDEN}@`)
    .replaceAll(PARAMETER_PASSWORD, `$1${HIDDEN}`);
  return showsPassword(text) ? undefined : text;
}

/** Read again by those who read it for use, so that what they take for a password is looked at. */
function showsPassword(text: string): boolean {
  const read = parseShardMap(text, "");
  if (!("map" in read)) return true;
  const urls = [...read.map.databases.values()].flatMap(({ server }) =>
    server.kind === "url" ? [server.primary, ...server.replicas] : [],
  );
  return urls.some((url) => {
    const { password } = parseBackendAddress(url);
    return password !== undefined && password !== HIDDEN;
  });
}
