import { describe, expect, it } from "vitest";
import { parseOverrides, readStackConfig } from "../../../local/support/stackConfig";
import { configKey } from "../../../names";

const mistral = (...args: string[]) =>
  JSON.parse(readStackConfig(process.cwd(), "local", parseOverrides(args)).values[configKey("mistral")] ?? "{}");

describe("A change of the configuration by path", () => {
  it("creates missing objects and converts numbers", () => {
    const { candidate } = mistral("mistral.candidate.imageTag=local-2", "mistral.candidate.share=5");
    expect(candidate).toEqual({ imageTag: "local-2", share: 5 });
  });

  it("creates a missing list when the path has an index", () => {
    const { candidate } = mistral("mistral.candidate.testers[0]=one", "mistral.candidate.testers[1]=two");
    expect(candidate).toEqual({ testers: ["one", "two"] });
  });

  it("is refused when a parent on the path is not an object", () => {
    expect(() => mistral("mistral.imageTag.x=1")).toThrow("--config mistral.imageTag.x: snack-misaki:mistral is not");
  });
});
