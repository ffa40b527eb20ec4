// Prints what the engine would get as inputs of each RunPod resource, the serialised providers among them. A process
// of its own, under the ts-node that `pulumi up` uses: Pulumi cannot serialise code that vitest or tsx has rewritten.
const pulumi = require("@pulumi/pulumi");

require("@pulumi/pulumi/vendor/ts-node@7.0.1").register({
  compiler: "typescript",
  transpileOnly: true,
  skipProject: true,
  compilerOptions: { target: "ES2022", module: "nodenext", moduleResolution: "nodenext", esModuleInterop: true },
});

async function main() {
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
  const { Template } = require("../../runpod/template");
  const { Endpoint } = require("../../runpod/endpoint");
  const { RegistryAuth } = require("../../runpod/registryAuth");
  const credentials = { username: "AWS", password: "canary-registry-password" };
  const registryAuth = new RegistryAuth("worker", { name: "snack-misaki-dev-registry", ...credentials });
  await new Promise((resolve) => registryAuth.urn.apply(resolve));
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
  const seen = await new Promise((resolve) =>
    pulumi
      .all([endpoint.id, endpoint.templateId, endpoint.workersMax])
      .apply(([id, templateId, workersMax]) => resolve({ id, templateId, workersMax })),
  );
  process.stdout.write(JSON.stringify({ registered: registered.map(({ type, inputs }) => ({ type, inputs })), seen }));
}

main();
