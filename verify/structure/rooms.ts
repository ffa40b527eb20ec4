/** A folder or a root file ("room") and the reason for its position in the order of imports. */
export interface Room {
  path: string;
  reason: string;
  /** The only file of the room that other rooms may import. Undefined when they may import every file. */
  entry?: string;
}

/** Rooms of the repository, highest first. A file may import from its own room and from the rooms below it. */
export const rooms: Room[] = [
  { path: "vitest.config.mts", reason: "configures the tests; no file imports it" },
  { path: "training", reason: "retrains a model, and judges the candidate with the checks of `verify`" },
  { path: "verify", reason: "measures and checks the code of all other rooms" },
  { path: "ops", reason: "the operator's commands, for the deployed system and for a local cloud" },
  { path: "local/commands", reason: "commands that start and use the local cloud" },
  { path: "local/visitor", reason: "signs in and chats as a customer of a running local cloud" },
  { path: "local/cloud", reason: "starts the emulated services as one local cloud" },
  { path: "local", reason: "emulated services, and the local Pulumi engine" },
  { path: "local/support", reason: "store, HTTP, events and locks that every emulated service uses" },
  { path: "policy", reason: "rules about the resources of a stack, for pulumi preview --policy-pack" },
  { path: "index.ts", reason: "declares all components of the stack" },
  { path: "infra", reason: "components of the stack, such as the API and the data tables" },
  { path: "names.ts", reason: "names of a stack's resources and configuration keys" },
  { path: "functions", reason: "entry points of the Lambda functions" },
  { path: "functions/stripe", reason: "reads Stripe's API for the entry points" },
  { path: "functions/relay", reason: "chats with models for the relay's entry point" },
  { path: "functions/canary", reason: "compares candidates with the released models for the entry points" },
  { path: "functions/tables", reason: "reads and writes the tables on behalf of the entry points" },
  { path: "functions/lib", reason: "HTTP, secrets and other helpers of the entry points" },
  { path: "functions/core", reason: "the product's rules, without HTTP and AWS" },
  { path: "runpod", reason: "dynamic provider of RunPod resources" },
  { path: "stripe", reason: "dynamic provider of Stripe resources" },
  { path: "dynamic", reason: "code that both dynamic providers share" },
  { path: "client/build", reason: "builds the files of the browser's package that npm packs" },
  { path: "client", reason: "the browser's package, which imports no other room", entry: "client/index.ts" },
  { path: "images", reason: "the GPU worker and the facts about each model" },
  { path: "contract", reason: "formats of the data that clients, functions and workers exchange" },
  { path: "cli", reason: "code with which every command starts, prints and fails" },
];
