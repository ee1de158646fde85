/** An explanation of several databases in each of EXPLAIN's formats, with what PostgreSQL 18 answers inside. */
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { ExplainNode } from "../../planner/explain/explain-node.ts";
import { property } from "../../planner/explain/explain-node.ts";
import { explainRows } from "../../planner/explain/formats/rows.ts";

function explanation(document: string): ExplainNode {
  const placement: ExplainNode = {
    title: "Placement users0.public",
    properties: [
      property("Database", "users0"),
      { name: "SQL", value: 'SELECT "a&b"\nFROM t', isLong: true },
    ],
    document,
    groups: [],
  };
  return {
    title: "Colonnade Gather",
    properties: [property("Route", 'allShards "x"'), property("Placement Count", 1)],
    document: undefined,
    groups: [{ name: "Placements", itemName: "Placement", nodes: [placement] }],
  };
}

const TEXT = `Seq Scan on t  (cost=0.00..1.00 rows=1 width=8)
  Filter: (a > 1)
Planning Time: 0.100 ms`;

/** A query identifier has more digits than a number of JavaScript's. */
const JSON_DOCUMENT = `[
  {
    "Plan": {
      "Node Type": "Seq Scan",
      "Total Cost": 1.00,
      "Filter": "(note = '}]'::text)"
    },
    "Query Identifier": -8307692170398412345,
    "Triggers": [
    ]
  }
]`;

const YAML_DOCUMENT = `- Plan: 
    Node Type: "Seq Scan"
    Plans: 
      - Node Type: "Result"
  Planning Time: 0.100`;

const XML_DOCUMENT = `<explain xmlns="http://www.postgresql.org/2009/explain">
  <Query>
    <Plan>
      <Node-Type>Seq Scan</Node-Type>
    </Plan>
  </Query>
</explain>`;

describe("text", () => {
  test("the database's lines keep their places to each other", () => {
    expect(explainRows(explanation(TEXT), "text", false)).toEqual([
      "Colonnade Gather",
      '  Route: allShards "x"',
      "  Placement Count: 1",
      "  ->  Placement users0.public",
      "        Database: users0",
      "        ->  Seq Scan on t  (cost=0.00..1.00 rows=1 width=8)",
      "              Filter: (a > 1)",
      "            Planning Time: 0.100 ms",
    ]);
  });

  test("VERBOSE tells the SQL, a line each", () => {
    const lines = explainRows(explanation(TEXT), "text", true);
    expect(lines.slice(5, 7)).toEqual(['        SQL: SELECT "a&b"', "        FROM t"]);
  });
});

test("JSON: one document, in which numbers are as the database wrote them", () => {
  const [document, ...others] = explainRows(explanation(JSON_DOCUMENT), "json", false);
  expect(others).toEqual([]);
  expect(JSON.parse(document ?? "")).toMatchObject([
    {
      Plan: {
        "Node Type": "Colonnade Gather",
        Route: 'allShards "x"',
        "Placement Count": 1,
        Placements: [
          {
            Database: "users0",
            SQL: 'SELECT "a&b"\nFROM t',
            Plan: { "Node Type": "Seq Scan", Filter: "(note = '}]'::text)" },
            Triggers: [],
          },
        ],
      },
    },
  ]);
  expect(document).toContain('          "Query Identifier": -8307692170398412345,\n');
  expect(document).toContain('"Total Cost": 1.00');
});

test("YAML", () => {
  const [document] = explainRows(explanation(YAML_DOCUMENT), "yaml", false);
  expect(parse(document ?? "")).toEqual([
    {
      Plan: {
        "Node Type": "Colonnade Gather",
        Route: 'allShards "x"',
        "Placement Count": 1,
        Placements: [
          {
            Database: "users0",
            SQL: 'SELECT "a&b"\nFROM t',
            Plan: { "Node Type": "Seq Scan", Plans: [{ "Node Type": "Result" }] },
            "Planning Time": 0.1,
          },
        ],
      },
    },
  ]);
});

test("XML", () => {
  expect(explainRows(explanation(XML_DOCUMENT), "xml", false)[0]).toBe(`\
<explain xmlns="http://www.postgresql.org/2009/explain">
  <Query>
    <Plan>
      <Node-Type>Colonnade Gather</Node-Type>
      <Route>allShards "x"</Route>
      <Placement-Count>1</Placement-Count>
      <Placements>
        <Placement>
          <Database>users0</Database>
          <SQL>SELECT "a&amp;b"
          FROM t</SQL>
          <Plan>
            <Node-Type>Seq Scan</Node-Type>
          </Plan>
        </Placement>
      </Placements>
    </Plan>
  </Query>
</explain>`);
});
