import { type handleUnaryCall, Server, ServerCredentials, status } from "@grpc/grpc-js";
import * as provider from "@pulumi/pulumi/proto/provider_pb";
import { ResourceMonitorService } from "@pulumi/pulumi/proto/resource_grpc_pb";
import * as monitor from "@pulumi/pulumi/proto/resource_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lifecyclePolicyDocument } from "../../../local/awsx/lifecycle";
import { type Awsx, startAwsx } from "../../../local/awsx/start";
import { freePort } from "../../../local/support/ports";
import { Engine, read, struct, UNKNOWN } from "../aws/fixture";

interface Registered {
  type: string;
  name: string;
  parent: string;
  inputs: Record<string, unknown>;
}

/**
 * Starts a resource monitor that accepts every registration. A resource's outputs are its inputs plus the result of
 * `outputs`.
 */
async function startMonitor(outputs: (resource: Registered) => Record<string, unknown>) {
  const registered: Registered[] = [];
  const supportsFeature: handleUnaryCall<monitor.SupportsFeatureRequest, monitor.SupportsFeatureResponse> = (
    _call,
    callback,
  ) => {
    const response = new monitor.SupportsFeatureResponse();
    response.setHassupport(true);
    callback(null, response);
  };
  const registerResource: handleUnaryCall<monitor.RegisterResourceRequest, monitor.RegisterResourceResponse> = (
    { request },
    callback,
  ) => {
    const one = {
      type: request.getType(),
      name: request.getName(),
      parent: request.getParent(),
      inputs: read(request.getObject()),
    };
    registered.push(one);
    const response = new monitor.RegisterResourceResponse();
    response.setUrn(`urn:pulumi:test::snack::${one.type}::${one.name}`);
    if (request.getCustom()) response.setId(`${one.name}-id`);
    response.setObject(struct({ ...one.inputs, ...outputs(one) }));
    callback(null, response);
  };
  const registerResourceOutputs: handleUnaryCall<monitor.RegisterResourceOutputsRequest, Empty> = (_call, callback) =>
    callback(null, new Empty());
  const unimplemented: handleUnaryCall<unknown, never> = (_call, callback) => callback({ code: status.UNIMPLEMENTED });
  const rest = Object.fromEntries(Object.keys(ResourceMonitorService).map((method) => [method, unimplemented]));
  const server = new Server();
  server.addService(ResourceMonitorService, { ...rest, supportsFeature, registerResource, registerResourceOutputs });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { registered, endpoint: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

describe("awsx provider", () => {
  let awsx: Awsx;
  let engine: Engine;
  beforeAll(async () => {
    // The test needs a fixed port, like a run with the real Pulumi.
    const port = await freePort();
    awsx = await startAwsx(port);
    expect(awsx.port).toBe(port);
    engine = new Engine(port);
  });
  afterAll(async () => {
    engine.close();
    await awsx.close();
  });

  async function construct(
    type: string,
    inputs: Record<string, unknown>,
    outputs: Record<string, unknown>,
    dryRun = false,
  ) {
    const running = await startMonitor(() => outputs);
    const request = new provider.ConstructRequest();
    request.setProject("snack");
    request.setStack("test");
    request.setType(type);
    request.setName("Model");
    request.setMonitorendpoint(running.endpoint);
    request.setParallel(4);
    request.setDryrun(dryRun);
    request.setInputs(struct(inputs));
    try {
      const response = await engine.call<provider.ConstructRequest, provider.ConstructResponse>(
        engine.client.construct,
        request,
      );
      return { urn: response.getUrn(), state: read(response.getState()), registered: running.registered };
    } finally {
      running.close();
    }
  }

  it("creates an ECR repository and a lifecycle policy for a Repository component", async () => {
    const { urn, state, registered } = await construct(
      "awsx:ecr:Repository",
      { forceDelete: true, lifecyclePolicy: { rules: [{ tagStatus: "any", maximumNumberOfImages: 10 }] } },
      { name: "model-1234567", repositoryUrl: "registry/model" },
    );
    expect(urn).toContain("awsx:ecr:Repository::Model");
    expect(state).toMatchObject({ url: "registry/model" });
    expect(registered.map(({ type, name }) => [type, name])).toEqual([
      ["awsx:ecr:Repository", "Model"],
      ["aws:ecr/repository:Repository", "model"],
      ["aws:ecr/lifecyclePolicy:LifecyclePolicy", "model"],
    ]);
    expect(registered[1]).toMatchObject({ parent: urn, inputs: { forceDelete: true } });
    expect(registered[2]?.inputs).toMatchObject({
      repository: "model-1234567",
      policy: expect.stringContaining('"countNumber":10'),
    });
  });

  it("builds an image and returns the image's URI with the digest", async () => {
    const { urn, state, registered } = await construct(
      "awsx:ecr:Image",
      {
        repositoryUrl: "registry/model",
        imageTag: "v7",
        context: "images",
        dockerfile: "images/Dockerfile",
        platform: "linux/amd64",
        args: { MODEL_VERSION: "v7" },
      },
      { digest: "sha256:1", ref: "registry/model:v7@sha256:1" },
    );
    expect(state).toEqual({ imageUri: "registry/model@sha256:1" });
    expect(registered[1]).toEqual({
      type: "docker-build:index:Image",
      name: "v7",
      parent: urn,
      inputs: {
        tags: ["registry/model:v7"],
        buildArgs: { MODEL_VERSION: "v7" },
        context: { location: "images" },
        dockerfile: { location: "images/Dockerfile" },
        platforms: ["linux/amd64"],
        push: true,
      },
    });
  });

  it("builds no image while the image's repository URL is unknown", async () => {
    const { state, registered } = await construct(
      "awsx:ecr:Image",
      { repositoryUrl: UNKNOWN, imageTag: "v7" },
      {},
      true,
    );
    expect(state).toEqual({ imageUri: UNKNOWN });
    expect(registered.map(({ type }) => type)).toEqual(["awsx:ecr:Image"]);
  });

  it("rejects an unsupported component and names the component", async () => {
    await expect(construct("awsx:ecs:FargateService", {}, {})).rejects.toThrow(
      /does not support awsx:ecs:FargateService/,
    );
  });
});

describe("Lifecycle rules", () => {
  it("end with the rule for any image", () => {
    const document = JSON.parse(
      lifecyclePolicyDocument([
        { tagStatus: "any", maximumAgeLimit: 30 },
        { tagStatus: "tagged", tagPrefixList: ["v"], maximumNumberOfImages: 5 },
      ]),
    );
    expect(document.rules).toEqual([
      {
        rulePriority: 1,
        selection: { tagStatus: "tagged", tagPrefixList: ["v"], countType: "imageCountMoreThan", countNumber: 5 },
        action: { type: "expire" },
      },
      {
        rulePriority: 2,
        selection: { tagStatus: "any", countType: "sinceImagePushed", countNumber: 30, countUnit: "days" },
        action: { type: "expire" },
      },
    ]);
  });

  it("are rejected when a rule has no limit", () => {
    expect(() => lifecyclePolicyDocument([{ tagStatus: "any" }])).toThrow(/maximumNumberOfImages or maximumAgeLimit/);
  });
});
