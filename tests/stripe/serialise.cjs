// Prints the inputs that the engine would get for a WebhookEndpoint and for WebhookSecrets, with the serialised providers.
// This is a separate process that runs the program's own compiled code, because Pulumi cannot serialise code that vitest
// has rewritten.
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
        return { id: `${resource.name}-id`, state: { ...resource.inputs, secret: "whsec_CANARY" } };
      },
      call: (call) => call.inputs,
    },
    "snack-misaki",
    "dev",
  );
  const { WebhookEndpoint } = require(join(program, "stripe/webhookEndpoint.js"));
  const { WebhookSecrets } = require(join(program, "stripe/webhookSecrets.js"));
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
