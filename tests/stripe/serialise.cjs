// Prints what the engine would get as inputs of a WebhookEndpoint and of WebhookSecrets, the serialised providers among
// them. A process of its own, under the ts-node that `pulumi up` uses: Pulumi cannot serialise code that vitest has rewritten.
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
        return { id: `${resource.name}-id`, state: { ...resource.inputs, secret: "whsec_CANARY" } };
      },
      call: (call) => call.inputs,
    },
    "snack-misaki",
    "dev",
  );
  const { WebhookEndpoint } = require("../../stripe/webhookEndpoint");
  const { WebhookSecrets } = require("../../stripe/webhookSecrets");
  const endpoint = new WebhookEndpoint("stripe", {
    url: "https://api.example.com/webhook/stripe",
    enabledEvents: ["invoice.paid", "customer.subscription.updated"],
    description: "snack-misaki/dev",
    secretGeneration: 1,
  });
  const secrets = new WebhookSecrets("stripe", { secret: endpoint.secret });
  await new Promise((resolve) => pulumi.all([endpoint.urn, secrets.urn]).apply(resolve));
  process.stdout.write(JSON.stringify(registered.map(({ type, inputs }) => ({ type, inputs }))));
}

main();
