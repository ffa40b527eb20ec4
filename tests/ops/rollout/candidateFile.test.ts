import { describe, expect, it } from "vitest";
import { candidateOf } from "../../../ops/rollout/candidateFile";

const lines = (...text: string[]) => `${text.join("\n")}\n`;

describe("candidateOf", () => {
  it.each([
    ["between other keys", ["    imageTag: a", "    # How many.", "    workersMax: 2"], 1],
    ["at the end of its model", ["    imageTag: a", "    workersMax: 2 # two"], 2],
    ["at the beginning of its model", ["    imageTag: a"], 0],
  ])("finds a block %s, and keeps every other line without it", (_, kept, index) => {
    const head = ["config: # of dev", "  snack-misaki:mistral: # the paid plan"];
    const tail = ["  snack-misaki:phi3:", "    imageTag: c"];
    const block = [
      "    candidate: # retrained",
      '      imageTag: "b"',
      "      # Mama.",
      "      testers:",
      "        - x # me",
    ];
    const text = lines(...head, ...kept.toSpliced(index, 0, ...block), ...tail);
    expect(candidateOf(text, "mistral")).toEqual({
      image: { key: "imageTag", value: "b" },
      without: lines(...head, ...kept, ...tail),
    });
    expect(candidateOf(text, "phi3")).toBeUndefined();
  });

  it.each([
    [
      "{ imageUri: h/a:1, candidate: { imageUri: h/a:2, share: 5 }, workersMax: 1 }",
      "{ imageUri: h/a:1, workersMax: 1 }",
    ],
    ["{ imageUri: h/a:1, candidate: { imageUri: h/a:2 } }", "{ imageUri: h/a:1 }"],
    ["{ candidate: { imageUri: h/a:2 }, imageUri: h/a:1 }", "{ imageUri: h/a:1 }"],
  ])("finds a block in braces: %s", (block, without) => {
    expect(candidateOf(`config:\n  snack-misaki:mistral: ${block}\n`, "mistral")).toEqual({
      image: { key: "imageUri", value: "h/a:2" },
      without: `config:\n  snack-misaki:mistral: ${without}\n`,
    });
  });

  it("finds a block at the end of a file without a line break", () => {
    const text = "config:\n  snack-misaki:mistral:\n    imageTag: a\n    candidate: { imageTag: b }";
    expect(candidateOf(text, "mistral")?.without).toBe("config:\n  snack-misaki:mistral:\n    imageTag: a\n");
  });

  it("finds no image in a block without one, and no block in a file that is not YAML", () => {
    expect(
      candidateOf("config:\n  snack-misaki:mistral:\n    candidate:\n      share: 5\n", "mistral")?.image,
    ).toBeUndefined();
    expect(candidateOf("config: [\n", "mistral")).toBeUndefined();
  });
});
