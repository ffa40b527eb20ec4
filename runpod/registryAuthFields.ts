import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { nameField, ownerField } from "./templateFields";

const user = mustBe("the registry's user name (AWS for Amazon ECR)");

/** The fields of registry credentials, checked. */
export const registryAuthFields = {
  owner: ownerField,
  name: nameField,
  username: z.string({ error: user }).min(1, { error: user }),
  // A secret: the text never repeats what came.
  password: z
    .string({ error: ({ input }) => (input === undefined ? "is required" : "must be a text") })
    .min(1, { error: "must not be empty" }),
};

/** The inputs of registry credentials, trusted. */
export type RegistryAuthInputs = Values<typeof registryAuthFields>;
