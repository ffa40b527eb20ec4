import { z } from "zod";
import { idOnly } from "../call";
import type { RegistryAuthApi, RegistryAuthRecord } from "../client";
import { RunpodError } from "../error";
import { text } from "../nullable";
import { itemPath, NOT_OFFERED, type RestRequests } from "./request";

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

    async updateRegistryAuth(id, body) {
      // This call is in RunPod's API reference of 18 November 2026, but not in earlier specifications.
      const { username, password } = body;
      try {
        await send({
          operation: "updateRegistry",
          method: "PATCH",
          path: itemPath("registries", id),
          body: { username, password },
          response: z.unknown(),
          secrets: [password],
        });
      } catch (error) {
        if (!(error instanceof RunpodError && error.message.endsWith(NOT_OFFERED))) throw error;
        const todo = "Give the credentials another name: the program then creates new credentials.";
        throw new RunpodError(`${error.message} ${todo}`, { transient: false });
      }
    },

    deleteRegistryAuth: (id) => remove("deleteRegistry", itemPath("registries", id)),
  };
}
