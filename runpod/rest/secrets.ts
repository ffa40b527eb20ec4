import { z } from "zod";
import { idOnly } from "../call";
import type { SecretApi, SecretRecord } from "../client";
import { text } from "../nullable";
import { itemPath, type RestRequests } from "./request";

const secretRecord: z.ZodType<SecretRecord> = z.object({ id: z.string(), name: text });

/** Calls of the REST API for secrets (RunPod's API reference, account, September 2026). */
export function secretApi({ send, list, remove }: RestRequests): SecretApi {
  return {
    listSecrets: () => list("account/secrets", "secrets", secretRecord),

    createSecret: (body) =>
      send({
        operation: "createSecret",
        method: "POST",
        path: "/account/secrets",
        body,
        response: idOnly,
        secrets: [body.value],
      }),

    async updateSecret(id, value) {
      // Sends no description: RunPod would change value and description one after the other, not atomically.
      await send({
        operation: "updateSecret",
        method: "PATCH",
        path: itemPath("account/secrets", id),
        body: { value },
        response: z.unknown(),
        secrets: [value],
      });
    },

    deleteSecret: (id) => remove("deleteSecret", itemPath("account/secrets", id)),
  };
}
