import type { dynamic } from "@pulumi/pulumi";

/**
 * A provider that only forwards to the bundle of `provider.ts`, found from the program's folder. Pulumi keeps the text of
 * these methods in the state of every resource: being constant, it never shows as a change, and a later `destroy` runs
 * the code of that day. No comments inside: they would be part of the text.
 */
export function forwardTo(kind: "template" | "endpoint" | "registryAuth"): dynamic.ResourceProvider {
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
  return require("./.build/runpod/provider.cjs");
}
