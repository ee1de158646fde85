/** Makes sources: tables, sub-selects and computed rows as entries of a level's FROM. */
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import type { Column, Level, Source, SourceContent } from "./model.ts";
import type { NamespaceItem } from "./namespace.ts";

export interface SourceNaming {
  readonly name: string;
  /** An alias's column names, for as many columns as it has. */
  readonly columnNames: readonly string[];
  readonly isOpen: boolean;
  readonly isFilter?: boolean;
  readonly location: number | undefined;
}

export function tableSource(
  content: SourceContent,
  relation: CatalogRelation | undefined,
  naming: SourceNaming,
): Source {
  const columns: Column[] = [];
  const source: Source = {
    name: naming.name,
    content,
    columns,
    isOpen: naming.isOpen || relation === undefined,
    isFilter: false,
    location: naming.location,
  };
  for (const [index, catalog] of (relation?.columns ?? []).entries()) {
    columns.push({
      name: naming.columnNames[index] ?? catalog.name,
      source,
      catalog,
      inner: undefined,
    });
  }
  return source;
}

export function querySource(level: Level, naming: SourceNaming): Source {
  const columns: Column[] = [];
  const isOpen =
    naming.isOpen || level.outputsAreOpen || level.outputs.some(({ name }) => name === undefined);
  const source: Source = {
    name: naming.name,
    content: { kind: "query", level },
    columns,
    isOpen,
    isFilter: naming.isFilter === true,
    location: naming.location,
  };
  // After an unknown number of columns, those that follow have unknown places.
  for (const [index, output] of (level.outputsAreOpen ? [] : level.outputs).entries()) {
    columns.push({
      name: naming.columnNames[index] ?? output.name ?? UNNAMED,
      source,
      catalog: undefined,
      inner: output.column,
    });
  }
  return source;
}

export function computedSource(kind: "computed" | "recursion", naming: SourceNaming): Source {
  return {
    name: naming.name,
    content: { kind },
    columns: [],
    isOpen: true,
    isFilter: false,
    location: naming.location,
  };
}

/** No identifier is empty. */
const UNNAMED = "";

export function itemOf(source: Source, schema: string | undefined): NamespaceItem {
  const columns = source.columns.map((column) => ({ name: column.name, column }));
  return { name: source.name, schema, columns, isOpen: source.isOpen, columnsAreVisible: true };
}
