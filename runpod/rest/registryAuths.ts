import { z } from "zod";
import type { RegistryAuthApi, RegistryAuthRecord } from "../client";
import { RunpodError } from "../error";
import { text } from "../nullable";
import { idOnly, itemPath, type RestRequests } from "./request";

const registryAuthRecord: z.ZodType<RegistryAuthRecord> = z.object({ id: z.string(), name: text });

/** Registry credential calls of the REST API. */
export function registryAuthApi({ send, list, remove }: RestRequests): RegistryAuthApi {
  return {
    listRegistryAuths: () => list("registries", "registries", registryAuthRecord),

    createRegistryAuth: (body) =>
      send({
        operation: "createRegistry",
        method: "POST",
        path: "/registries",
        body,
        response: idOnly,
        secrets: [body.password],
      }),

    async updateRegistryAuth() {
      throw new RunpodError("RunPod's REST API cannot change registry credentials.", { transient: false });
    },

    deleteRegistryAuth: (id) => remove("deleteRegistry", itemPath("registries", id)),
  };
}
