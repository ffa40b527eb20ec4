import { gql } from "graphql-request";
import { z } from "zod";
import { idOnly } from "../call";
import type { RegistryAuthApi, RegistryAuthRecord } from "../client";
import { listing, text } from "../nullable";
import { retryTransient } from "../retry";
import type { GraphqlRequests } from "./request";

const registryAuthRecord: z.ZodType<RegistryAuthRecord> = z.object({ id: z.string(), name: text });

/** Registry credential calls of the GraphQL API. */
export function registryAuthApi({ send, sendRepeatable, remove, queryMyself }: GraphqlRequests): RegistryAuthApi {
  return {
    async listRegistryAuths() {
      const response = z.object({ containerRegistryCreds: listing(registryAuthRecord) });
      const fields = "containerRegistryCreds { id name }";
      return (await queryMyself("containerRegistryCreds", fields, response)).containerRegistryCreds;
    },

    async createRegistryAuth(input) {
      const { saveRegistryAuth } = await send({
        operation: "saveRegistryAuth",
        document: gql`mutation ($input: SaveRegistryAuthInput!) { saveRegistryAuth(input: $input) { id } }`,
        variables: { input },
        response: z.object({ saveRegistryAuth: idOnly }),
        secrets: [input.password],
      });
      return saveRegistryAuth;
    },

    async updateRegistryAuth(id, { username, password }) {
      await sendRepeatable({
        operation: "updateRegistryAuth",
        document: gql`mutation ($input: UpdateRegistryAuthInput!) { updateRegistryAuth(input: $input) { id } }`,
        variables: { input: { id, username, password } },
        response: z.unknown(),
        secrets: [password],
      });
    },

    deleteRegistryAuth: (id) =>
      retryTransient(() =>
        remove({
          operation: "deleteRegistryAuth",
          document: gql`mutation ($id: String!) { deleteRegistryAuth(registryAuthId: $id) }`,
          variables: { id },
        }),
      ),
  };
}
