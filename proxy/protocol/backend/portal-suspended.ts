import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** PortalSuspended (B): Execute's row limit was reached; a further Execute goes on. */
export interface PortalSuspended {
  readonly kind: "portalSuspended";
}

export function decodePortalSuspended(body: Buffer): PortalSuspended {
  new BodyReader(body).end();
  return { kind: "portalSuspended" };
}

export function encodePortalSuspended(_message: PortalSuspended, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.portalSuspended).end();
}
