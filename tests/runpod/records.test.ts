import { describe, expect, it } from "vitest";
import { endpointRecord as graphqlEndpoint } from "../../runpod/graphql/endpoints";
import { templateRecord as graphqlTemplate } from "../../runpod/graphql/templates";
import { runsTemplate } from "../../runpod/rest/followers";
import {
  endpointSettings,
  endpointRecord as restEndpoint,
  templateRecord as restTemplate,
} from "../../runpod/rest/records";

describe("A response with missing or null fields", () => {
  const nulls = {
    name: null,
    env: null,
    gpu: null,
    workers: null,
    scaling: null,
    dataCenterIds: null,
    timeout: null,
  };

  it("is parsed as an endpoint with the same defaults for both APIs", () => {
    for (const sparse of [{ id: "odd" }, { id: "odd", ...nulls, image: null, disk: null, flashboot: null }]) {
      const settings = endpointSettings(restEndpoint.parse(sparse), "");
      const unreturned = { idleTimeoutSeconds: 10, modelReferences: [] };
      expect({ id: "odd", ...settings, ...unreturned }).toEqual(graphqlEndpoint.parse({ id: "odd", ...nulls }));
      expect(settings).toMatchObject({ gpuIds: [], locations: [], workersMin: 0, scalerType: "QUEUE_DELAY" });
    }
  });

  it("is parsed as a template with the same defaults for both APIs", () => {
    expect(restTemplate.parse({ id: "odd", ...nulls, image: null, disk: null })).toEqual(
      graphqlTemplate.parse({ id: "odd", ...nulls }),
    );
  });

  it("shows no difference between an endpoint and its template", () => {
    const template = restTemplate.parse({ id: "t", name: "t", image: "registry.example/phi3:1", disk: 30, env: {} });
    expect(runsTemplate(restEndpoint.parse({ id: "e" }), template)).toBe(true);
    expect(runsTemplate(restEndpoint.parse({ id: "e", disk: 20 }), template)).toBe(false);
  });
});

it("an endpoint with an unknown scaler type is parsed and keeps this type", () => {
  const endpoint = restEndpoint.parse({ id: "e", scaling: { type: "GPU_LOAD", load: 3 } });
  expect(endpointSettings(endpoint, "").scalerType).toBe("GPU_LOAD");
});
