import { describe, expect, it } from "vitest";
import { isInUse, isNotFound, RunpodError } from "../../runpod/error";
import { endpointRecord, templateRecord } from "../../runpod/graphqlRecords";
import { redact } from "../../runpod/redact";
import { endpointSettings, restEndpoint, restTemplate, runsTemplate } from "../../runpod/restRecords";

/** A refusal in RunPod's words. */
function refused(words: string): RunpodError {
  return new RunpodError(`RunPod refused deleteTemplate: ${words}`, { transient: false });
}

// RunPod documents the rules of a delete but not their words.
describe("a refused delete", () => {
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
  ])("that says %j is waited out", (words) => {
    expect(isInUse(refused(words))).toBe(true);
    expect(isNotFound(refused(words))).toBe(false);
  });

  it.each(["Template not found", "endpoint doesn't exist", "Could not find it", "No such endpoint"])(
    "that says %j has nothing left to do",
    (words) => {
      expect(isNotFound(refused(words))).toBe(true);
      expect(isInUse(refused(words))).toBe(false);
    },
  );

  it("for another reason is neither", () => {
    expect(isInUse(refused("the API key may not do this."))).toBe(false);
    expect(isNotFound(refused("the API key may not do this."))).toBe(false);
  });
});

describe("an answer that leaves out or nulls what was never set", () => {
  const nothing = {
    name: null,
    env: null,
    gpu: null,
    workers: null,
    scaling: null,
    dataCenterIds: null,
    timeout: null,
  };

  it("is an endpoint all the same, whichever API gives it: an odd one of somebody else hides no other", () => {
    for (const odd of [{ id: "odd" }, { id: "odd", ...nothing, image: null, disk: null, flashboot: null }]) {
      const settings = endpointSettings(restEndpoint.parse(odd), "");
      expect({ id: "odd", ...settings }).toEqual(endpointRecord.parse({ id: "odd", ...nothing }));
      expect(settings).toMatchObject({ gpuIds: [], locations: [], workersMin: 0, scalerType: "QUEUE_DELAY" });
    }
  });

  it("is a template all the same", () => {
    expect(restTemplate.parse({ id: "odd", ...nothing, image: null, disk: null })).toEqual(
      templateRecord.parse({ id: "odd", ...nothing }),
    );
  });

  it("is no sign that an endpoint runs another image or disk than its template", () => {
    const template = restTemplate.parse({ id: "t", name: "t", image: "registry.example/phi3:1", disk: 30, env: {} });
    expect(runsTemplate(restEndpoint.parse({ id: "e" }), template)).toBe(true);
    expect(runsTemplate(restEndpoint.parse({ id: "e", disk: 20 }), template)).toBe(false);
  });

  it("with a scaler of tomorrow is shown as it is", () => {
    const endpoint = restEndpoint.parse({ id: "e", scaling: { type: "GPU_LOAD", load: 3 } });
    expect(endpointSettings(endpoint, "").scalerType).toBe("GPU_LOAD");
  });
});

it("a secret is not told where it is quoted in JSON either", () => {
  const secret = 'canary "quoted"\nsecret';
  expect(redact(`bad value ${JSON.stringify({ secret })}, ${secret}`, [secret])).not.toContain("canary");
});
