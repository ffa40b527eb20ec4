import { gql } from "graphql-request";
import { z } from "zod";
import { idOnly } from "../call";
import type { SecretApi, SecretRecord } from "../client";
import { listing, text } from "../nullable";
import { retryTransient } from "../retry";
import type { GraphqlRequests } from "./request";

const secretRecord: z.ZodType<SecretRecord> = z.object({ id: z.string(), name: text });

/**
 * Calls of the GraphQL API for secrets. The variables are scalars, because the names of the schema's input types are
 * not confirmed.
 */
export function secretApi({ send, sendRepeatable, remove, queryMyself }: GraphqlRequests): SecretApi {
  return {
    async listSecrets() {
      const response = z.object({ secrets: listing(secretRecord) });
      return (await queryMyself("secrets", "secrets { id name }", response)).secrets;
    },

    async createSecret({ name, value }) {
      const { secretCreate } = await send({
        operation: "secretCreate",
        document: gql`
          mutation ($name: String!, $value: String!) { secretCreate(input: { name: $name, value: $value }) { id } }
        `,
        variables: { name, value },
        response: z.object({ secretCreate: idOnly }),
        secrets: [value],
      });
      return secretCreate;
    },

    async updateSecret(id, value) {
      await sendRepeatable({
        operation: "secretValueUpdate",
        document: gql`
          mutation ($id: ID!, $value: String!) { secretValueUpdate(input: { id: $id, value: $value }) { id } }
        `,
        variables: { id, value },
        response: z.unknown(),
        secrets: [value],
      });
    },

    deleteSecret: (id) =>
      retryTransient(() =>
        remove({
          operation: "secretDelete",
          document: gql`mutation ($id: ID!) { secretDelete(id: $id) }`,
          variables: { id },
        }),
      ),
  };
}
