import { z } from "zod";
import { mustBe } from "../dynamic/fields";
import { connection } from "./connection";
import { retryWhileInUse } from "./retry";
import { nameField, ownerField, secretField } from "./templateFields";
import { writeOnlyProvider } from "./writeOnlyProvider";

const usernameError = mustBe("the registry's user name (AWS for Amazon ECR)");

/** Provider methods of registry credentials. */
export const registryAuth = writeOnlyProvider({
  label: "RunPod registry credentials",
  fields: {
    owner: ownerField,
    name: nameField,
    username: z.string({ error: usernameError }).min(1, { error: usernameError }),
    password: secretField,
  },
  list: (client) => client.listRegistryAuths(),
  create: (client, { name, username, password }) => client.createRegistryAuth({ name, username, password }),
  update: (client, id, { username, password }) => client.updateRegistryAuth(id, { username, password }),
  /** RunPod refuses the delete while a template uses the credentials. */
  remove: (client, id) => retryWhileInUse(connection().inUse, () => client.deleteRegistryAuth(id)),
});
