import type { dynamic } from "@pulumi/pulumi";

/**
 * Provider that loads the bundle of `provider.ts` from the program's folder and forwards every call to it. Pulumi
 * stores the text of these methods in the state of every resource. Because the text never changes, an edit of the
 * provider shows no diff, and a later `destroy` runs the current code. Write no comments inside: they would become part
 * of the text.
 */
export function forwardTo(kind: "template" | "endpoint" | "registryAuth" | "secret"): dynamic.ResourceProvider {
  return {
    configure: async (request) => bundle().configure(request),
    check: async (olds, news) => bundle()[kind].check(olds, news),
    diff: async (id, olds, news) => bundle()[kind].diff(id, olds, news),
    create: async (inputs) => bundle()[kind].create(inputs),
    read: async (id, props) => bundle()[kind].read(id, props ?? {}),
    update: async (id, olds, news) => bundle()[kind].update(id, olds, news),
    delete: async (id) => bundle()[kind].delete(id),
  };
}

function bundle(): typeof import("./provider") {
  try {
    return require("./.build/runpod/provider.cjs");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    throw new Error(".build/runpod/provider.cjs is missing: run npm ci in the program's folder.");
  }
}
