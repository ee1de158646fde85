/** Relation and Type of pgoutput: what the row messages after them are rows of. */
import type { BodyReader } from "../body-reader.ts";

export interface Relation {
  readonly kind: "relation";
  /** Which the row messages name: the table's OID on the server. */
  readonly id: number;
  /** "" is pg_catalog. */
  readonly schema: string;
  readonly name: string;
  /** `d`efault, `n`othing, `f`ull or by `i`ndex. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  /** Part of the replica identity; under `f` every column is. */
  readonly isIdentity: boolean;
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
}

/** A type that is not built in; its name is for people. */
export interface TypeMessage {
  readonly kind: "type";
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

export function decodeRelation(reader: BodyReader): Relation {
  const id = reader.uint32();
  const schema = reader.cstring();
  const name = reader.cstring();
  const replicaIdentity = reader.char();
  const count = reader.uint16();
  const columns: RelationColumn[] = [];
  for (let index = 0; index < count; index += 1) {
    const flags = reader.int8();
    columns.push({
      isIdentity: (flags & 1) !== 0,
      name: reader.cstring(),
      typeOid: reader.uint32(),
      typmod: reader.int32(),
    });
  }
  reader.end();
  return { kind: "relation", id, schema, name, replicaIdentity, columns };
}

export function decodeType(reader: BodyReader): TypeMessage {
  const message: TypeMessage = {
    kind: "type",
    oid: reader.uint32(),
    schema: reader.cstring(),
    name: reader.cstring(),
  };
  reader.end();
  return message;
}
