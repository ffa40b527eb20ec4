/** A folder or a root file ("room") and the reason for its position in the order of imports. */
export interface Room {
  path: string;
  reason: string;
}

/** Rooms of the repository, highest first. A file may import from its own room and from the rooms below it. */
export const rooms: Room[] = [
  { path: "vitest.config.mts", reason: "configures the tests, imported by nothing" },
  { path: "verify", reason: "drives everything below to measure and prove it" },
  { path: "ops", reason: "the operator's commands, for the deployed system and the local one" },
  { path: "local/commands", reason: "commands that start and use the local cloud" },
  { path: "local/visitor", reason: "signs in and chats as a customer of a running local cloud" },
  { path: "local/cloud", reason: "assembles the emulated services into one cloud" },
  { path: "local", reason: "emulated services, and the engine that runs the program on them" },
  { path: "local/support", reason: "store, HTTP, events and locks that every emulated service uses" },
  { path: "index.ts", reason: "the whole system on one page" },
  { path: "infra", reason: "one component per concern" },
  { path: "names.ts", reason: "names of a stack's resources and configuration keys" },
  { path: "functions", reason: "entry points of the Lambda functions" },
  { path: "functions/stripe", reason: "reads Stripe for the entry points" },
  { path: "functions/tables", reason: "reads and writes the tables for the entry points" },
  { path: "functions/lib", reason: "HTTP, secrets and other helpers of the entry points" },
  { path: "functions/core", reason: "the domain, without HTTP and AWS" },
  { path: "runpod", reason: "dynamic provider of RunPod resources" },
  { path: "stripe", reason: "dynamic provider of Stripe resources" },
  { path: "dynamic", reason: "shared by both dynamic providers" },
  { path: "client", reason: "the browser's package, which depends on nothing here" },
  { path: "images", reason: "the GPU worker and the facts about each model" },
  { path: "contract", reason: "shapes of everything that crosses a boundary" },
  { path: "cli", reason: "how every command starts, prints and fails" },
];
