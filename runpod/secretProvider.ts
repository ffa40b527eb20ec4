import { z } from "zod";
import { mustBe } from "../dynamic/fields";
import { ownerField, secretField } from "./templateFields";
import { writeOnlyProvider } from "./writeOnlyProvider";

// RunPod's API reference, "Create a secret", September 2026.
const nameError = mustBe(
  "a name of at most 191 characters: letters, digits, _ . - /, beginning with a letter or _, but not with RUNPOD",
);

/** Provider methods of a secret of the account. */
export const secret = writeOnlyProvider({
  label: "RunPod secret",
  fields: {
    owner: ownerField,
    name: z
      .string({ error: nameError })
      .max(191, { error: nameError })
      .regex(/^(?!runpod)[a-z_][\w.\-/]*$/i, { error: nameError }),
    value: secretField,
  },
  list: (client) => client.listSecrets(),
  create: (client, { name, value }) => client.createSecret({ name, value }),
  async update(client, id, { name, value }) {
    await client.updateSecret(id, value);
    console.log(
      `RunPod secret ${name}: running workers keep the old value. A worker gets the new value when it starts.`,
    );
  },
  remove: (client, id) => client.deleteSecret(id),
});
