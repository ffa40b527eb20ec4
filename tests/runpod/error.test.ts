import { describe, expect, it } from "vitest";
import { isNameTaken, isNotFound, RunpodError, redact } from "../../runpod/error";

/** Creates the error of a call that RunPod refused for the given reason. */
function refusal(reason: string): RunpodError {
  return new RunpodError(`RunPod refused saveTemplate: ${reason}`, { transient: false, isRefusal: true });
}

describe("The error of a refusal", () => {
  it.each(["Template not found", "endpoint doesn't exist", "Could not find it", "No such endpoint"])(
    'means "not found" when the reason is %j',
    (reason) => expect(isNotFound(refusal(reason))).toBe(true),
  );

  it.each(["Template is in use", "Set min and max workers to 0 first.", "a new text of RunPod's"])(
    'does not mean "not found" when the reason is %j',
    (reason) => expect(isNotFound(refusal(reason))).toBe(false),
  );

  // Unconfirmed: no public source contains RunPod's error text for a taken name. These texts are guesses.
  it.each(["Template name must be unique", "name already exists", "name is already taken", "name of it (conflict)"])(
    "means a taken name when the reason is %j",
    (reason) => expect(isNameTaken(refusal(reason))).toBe(true),
  );

  it("does not count as a taken name when its text gives another reason", () => {
    expect(isNameTaken(refusal("imageName: manifest unknown"))).toBe(false);
  });
});

it("redact removes a secret that is escaped in JSON", () => {
  const secret = 'canary "quoted"\nsecret';
  expect(redact(`bad value ${JSON.stringify({ secret })}, ${secret}`, [secret])).not.toContain("canary");
});
