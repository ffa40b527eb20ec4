// Prints the properties that each RunPod resource class adds to its arguments: the type, the text of the provider that
// Pulumi stores in the state, and the options.
//
// This runs in a separate process with the program's own compiled code, because Pulumi cannot serialize code that a
// bundler has rewritten.
const { join } = require("node:path");
const pulumi = require("@pulumi/pulumi");
const compileProgram = require("../../../cli/compileProgram.cjs");

async function main() {
  const program = compileProgram();
  const options = new Map();
  const note = ({ type, opts }) => void options.set(type, opts);
  const registered = [];
  await pulumi.runtime.setMocks(
    {
      newResource({ type, inputs }) {
        const { deleteBeforeReplace = false, additionalSecretOutputs = [] } = options.get(type) ?? {};
        registered.push({ type, provider: inputs.__provider, deleteBeforeReplace, additionalSecretOutputs });
        return { id: "id", state: inputs };
      },
      call: ({ inputs }) => inputs,
    },
    "snack-misaki",
    "chaos",
  );
  const { Template } = require(join(program, "runpod/template.js"));
  const { Endpoint } = require(join(program, "runpod/endpoint.js"));
  const { RegistryAuth } = require(join(program, "runpod/registryAuth.js"));
  const { Secret } = require(join(program, "runpod/secret.js"));
  for (const [kind, Resource] of Object.entries({
    registryAuth: RegistryAuth,
    secret: Secret,
    template: Template,
    endpoint: Endpoint,
  })) {
    const { urn } = new Resource(kind, { password: "", value: "" }, { transformations: [note] });
    await new Promise((resolve) => urn.apply(resolve));
    registered.at(-1).kind = kind;
  }
  process.stdout.write(JSON.stringify(registered));
}

main();
