import { describe, expect, it } from "vitest";
import { fittedTable, fittedWidths } from "../../cli/fittedTable";

const image = `000000000000.dkr.ecr.ap-northeast-1.amazonaws.com/snack@sha256:${"f8a6".repeat(16)}`;
const rows = [
  ["ok", "phi3 image", image, ""],
  ["warning", "function admin", "failed 3 times in 24 hours. ".repeat(6).trim(), "Read its log. ".repeat(6).trim()],
];
const options = { head: ["", "check", "finding", "next step"] };

describe("A table", () => {
  it.each([80, 120])("is at most as wide as a terminal of %i columns and keeps every character", (columns) => {
    const lines = fittedTable(rows, options, columns).split("\n");
    expect(lines.map(({ length }) => length)).toEqual(lines.map(() => columns));
    const column = (index: number) => lines.map((line) => line.split("│")[index + 1]?.trim() ?? "").join("");
    expect(column(2)).toContain(image);
    expect(column(3).match(/Read/g)).toHaveLength(6);
    expect(lines.join("")).not.toContain("…");
  });

  it("of seven columns fits a terminal of 80 columns", () => {
    const long = Array.from({ length: 7 }, () => "evt_1RunPodMisakiMama");
    const [border = ""] = fittedTable([long], { head: long }, 80).split("\n");
    expect(border.length).toBeLessThanOrEqual(80);
  });

  it("does not break a coloured word that fits into its column", () => {
    const coloured = `\u001b[33mwarning\u001b[39m`;
    expect(fittedTable([[coloured, "word ".repeat(30)]], { head: ["", ""] }, 60)).toContain(` ${coloured} `);
  });

  it("is as narrow as its texts in a wide terminal", () => {
    expect(fittedTable([["a", "b"]], { head: ["1", "2"] }, 200).split("\n")[0]).toBe("┌───┬───┐");
  });
});

it("only the widest columns of a table lose characters", () => {
  expect(fittedWidths([10, 20, 56, 52], 120)).toEqual([10, 20, 42, 43]);
  expect(fittedWidths([10, 20], 120)).toEqual([10, 20]);
  expect(fittedWidths([40, 40, 40], 20)).toEqual([10, 10, 10]);
});
