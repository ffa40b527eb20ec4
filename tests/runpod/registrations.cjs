// Prints the inputs of each RunPod resource as the engine gets them, including the serialized provider. This script
// runs in a separate process with the program's compiled code, because Pulumi cannot serialize code that vitest has
// transformed.
const { join } = require("node:path");
const pulumi = require("@pulumi/pulumi");
const compileProgram = require("../../cli/compileProgram.cjs");

async function main() {
  const program = compileProgram();
  const registered = [];
  await pulumi.runtime.setMocks(
    {
      newResource: (resource) => {
        registered.push(resource);
        return { id: `${resource.name}-id`, state: resource.inputs };
      },
      call: (call) => call.inputs,
    },
    "snack-misaki",
    "dev",
  );
  const { Template } = require(join(program, "runpod/template.js"));
  const { Endpoint } = require(join(program, "runpod/endpoint.js"));
  const { RegistryAuth } = require(join(program, "runpod/registryAuth.js"));
  const { Secret } = require(join(program, "runpod/secret.js"));
  const credentials = { username: "AWS", password: "canary-registry-password" };
  const registryAuth = new RegistryAuth("worker", { name: "snack-misaki-dev-registry", ...credentials });
  await new Promise((resolve) => registryAuth.urn.apply(resolve));
  const secret = new Secret("worker", { name: "snack-misaki-dev-token", value: "canary-secret-value" });
  await new Promise((resolve) => secret.urn.apply(resolve));
  const template = new Template("worker", {
    name: "snack-phi3",
    imageName: "registry.example/phi3:2026-11-01",
    env: { MODEL: "phi3", TICKET_ISSUER: pulumi.output("snack-misaki/dev") },
    containerDiskInGb: 30,
  });
  const endpoint = new Endpoint("worker", {
    name: "snack-phi3",
    templateId: template.id,
    gpuIds: ["AMPERE_16", "AMPERE_24", "-NVIDIA L4"],
    workersMin: 0,
    workersMax: 3,
    idleTimeoutSeconds: 30,
    scalerType: "QUEUE_DELAY",
    scalerValue: 4,
    executionTimeoutMs: 120_000,
  });
  await new Promise((resolve) => pulumi.all([template.urn, endpoint.urn]).apply(resolve));
  const endpointOutputs = await new Promise((resolve) =>
    pulumi
      .all([endpoint.id, endpoint.templateId, endpoint.workersMax])
      .apply(([id, templateId, workersMax]) => resolve({ id, templateId, workersMax })),
  );
  const registrations = registered.map(({ type, inputs }) => ({ type, inputs }));
  process.stdout.write(JSON.stringify({ registered: registrations, endpointOutputs }));
}

main();
