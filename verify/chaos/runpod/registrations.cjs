// Prints, for each RunPod resource, what its class adds to what a program says: its type, the text of its provider that
// Pulumi keeps in the state, and its options. A process of its own, under the ts-node that `pulumi up` uses: Pulumi cannot
// serialise code that a bundler has rewritten.
const pulumi = require("@pulumi/pulumi");

require("@pulumi/pulumi/vendor/ts-node@7.0.1").register({
  compiler: "typescript",
  transpileOnly: true,
  skipProject: true,
  compilerOptions: { target: "ES2022", module: "nodenext", moduleResolution: "nodenext", esModuleInterop: true },
});

async function main() {
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
  const { Template } = require("../../../runpod/template");
  const { Endpoint } = require("../../../runpod/endpoint");
  const { RegistryAuth } = require("../../../runpod/registryAuth");
  for (const [kind, Resource] of Object.entries({
    registryAuth: RegistryAuth,
    template: Template,
    endpoint: Endpoint,
  })) {
    const { urn } = new Resource(kind, { password: "" }, { transformations: [note] });
    await new Promise((resolve) => urn.apply(resolve));
    registered.at(-1).kind = kind;
  }
  process.stdout.write(JSON.stringify(registered));
}

main();
