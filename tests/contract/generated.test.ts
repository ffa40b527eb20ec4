import { describe, expect, it } from "vitest";
import { committedFiles, generatedFiles } from "../../contract/generated";

describe("the Python worker's half of the contract", () => {
  it("is what `npm run contract:generate` writes today", () => {
    expect(committedFiles()).toEqual(generatedFiles());
  });
});
