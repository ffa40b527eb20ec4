import { describe, expect, it } from "vitest";
import { countFixtures, sampleFixtures } from "../../training/command/fixtureResults";

describe("countFixtures", () => {
  it("counts the results, and names the fixture of each failure and skip", () => {
    const result = (fixture: string, result: "passed" | "failed" | "skipped", problems: string[] = []) => ({
      version: "v1",
      fixture,
      result,
      ms: 1,
      problems,
    });
    const results = [
      result("native/text", "passed"),
      result("native/length", "failed", ["usage is missing", "no end"]),
      result("native/ticket-expired", "skipped", ["no value for the placeholder $EXPIRED"]),
    ];
    expect(countFixtures(results)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 1,
      problems: [
        "v1/native/length: usage is missing; no end",
        "v1/native/ticket-expired: no value for the placeholder $EXPIRED",
      ],
    });
  });
});

describe("sampleFixtures", () => {
  it("accepts a valid answer and rejects the same answer without `usage`, by the contract's rules", () => {
    const { sound, fieldMissing } = sampleFixtures();
    expect(sound).toMatchObject({ failed: 0, skipped: 0, problems: [] });
    expect(sound.passed).toBeGreaterThan(0);
    expect(fieldMissing).toMatchObject({ passed: 0, failed: sound.passed });
    for (const problem of fieldMissing.problems) expect(problem).toContain("usage");
  });
});
