import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../contract/errors";
import { causesText, logCauses } from "../../functions/lib/causes";
import { dependency } from "../../functions/lib/dependency";

afterEach(() => void vi.restoreAllMocks());

describe("A scheduled function that fails", () => {
  it("logs every nested cause before it throws an error without these causes", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const refused = new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:9") });
    const run = logCauses(() => dependency("parameter store", Promise.reject(refused)));
    await expect(run()).rejects.toThrow("Not available at the moment");
    expect(log.mock.calls).toEqual([
      [
        {
          run: "failed",
          cause: expect.stringMatching(
            /^ApiError: .* <- parameter store: TypeError: fetch failed <- Error: connect ECONNREFUSED/,
          ),
        },
      ],
    ]);
  });
});

describe("The text of causes", () => {
  it("contains at most five errors, even when an error is its own cause", () => {
    const circular = new Error("again");
    circular.cause = circular;
    expect(causesText(circular).split(" <- ")).toHaveLength(5);
  });

  it.each([
    ["a text", "a text"],
    [undefined, ""],
    [new ApiError("internal", "x", { cause: { code: 1 } }), "ApiError: x <- [object Object]"],
  ])("accepts any thrown value: %j", (thrown, text) => {
    expect(causesText(thrown)).toBe(text);
  });
});
