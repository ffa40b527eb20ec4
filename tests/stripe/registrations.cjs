// Prints the inputs of a WebhookEndpoint and of WebhookSecrets as the engine gets them, with the serialized provider.
// This script runs in a separate process with the program's compiled code, because Pulumi cannot serialize code that
// vitest has transformed.
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
