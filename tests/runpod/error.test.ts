import { describe, expect, it } from "vitest";
import { isInUse, isNotFound, RunpodError, redact } from "../../runpod/error";

/** Creates the error of a delete that RunPod refused for the given reason. */
function refusal(reason: string): RunpodError {
  return new RunpodError(`RunPod refused deleteTemplate: ${reason}`, { transient: false });
}

// RunPod documents when it refuses a delete, but not the text of its message.
describe("The error of a refused delete", () => {
  it.each([
    "Template is in use",
    "template is currently used by one or more endpoints",
    "Template was used less than 2 minutes ago",
    "cannot be deleted while Pods are using it",
    "it is bound to an endpoint",
    "still attached to a serverless endpoint",
    "associated with active endpoints",
    "template still referenced",
    "name of the problem (conflict)",
    "Set min and max workers to 0 first.",
    "workersMax must be zero",
    "endpoint has active workers",
  ])('means "in use" when the reason is %j', (reason) => {
    expect(isInUse(refusal(reason))).toBe(true);
    expect(isNotFound(refusal(reason))).toBe(false);
  });

  it.each(["Template not found", "endpoint doesn't exist", "Could not find it", "No such endpoint"])(
    'means "not found" when the reason is %j',
    (reason) => {
      expect(isNotFound(refusal(reason))).toBe(true);
      expect(isInUse(refusal(reason))).toBe(false);
    },
  );

  it('means neither "in use" nor "not found" when the reason is a missing permission', () => {
    expect(isInUse(refusal("the API key lacks the permission."))).toBe(false);
    expect(isNotFound(refusal("the API key lacks the permission."))).toBe(false);
  });
});

it("redact removes a secret that is escaped in JSON", () => {
  const secret = 'canary "quoted"\nsecret';
  expect(redact(`bad value ${JSON.stringify({ secret })}, ${secret}`, [secret])).not.toContain("canary");
});
