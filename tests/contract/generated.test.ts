import { describe, expect, it } from "vitest";
import { committedFiles, generatedFiles } from "../../contract/generate";

describe("the Python worker's half of the contract", () => {
  it("is what `npm run contract:generate` writes today", () => {
    expect(committedFiles()).toEqual(generatedFiles());
  });
});
