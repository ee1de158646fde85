import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** NoData (B): answers Describe for what returns no rows. */
export interface NoData {
  readonly kind: "noData";
}

export function decodeNoData(body: Buffer): NoData {
  new BodyReader(body).end();
  return { kind: "noData" };
}

export function encodeNoData(_message: NoData, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.noData).end();
}
