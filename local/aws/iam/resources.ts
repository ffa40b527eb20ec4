import { z } from "zod";
import { type ResourceType, randomId } from "../support/resource";
import { text } from "../support/values";

/** A policy document as JSON text. The provider has converted an object to text before this check (see `jsonText`). */
const policyDocument = z.string().refine(isPolicy, "must be a policy with a Statement, or its JSON text");

/** aws:iam/role:Role. */
export const role: ResourceType = {
  type: "aws:iam/role:Role",
  isTaggable: true,
  inputs: z.looseObject({ assumeRolePolicy: policyDocument, name: roleName().optional() }),
  jsonText: ["assumeRolePolicy"],
  replaceOn: ["name", "namePrefix", "path"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "EntityAlreadyExists",
  defaults: { path: "/", maxSessionDuration: 3600 },
  computed: {
    arn: ({ id, inputs, account }) => `arn:${account.partition}:iam::${account.accountId}:role${inputs.path}${id}`,
    createDate: () => new Date().toISOString(),
    uniqueId: () => `AROA${randomId(17).toUpperCase()}`,
  },
};

/** aws:iam/rolePolicy:RolePolicy, the inline policy of a role. */
export const rolePolicy: ResourceType = {
  type: "aws:iam/rolePolicy:RolePolicy",
  inputs: z.looseObject({ role: z.string(), policy: policyDocument }),
  jsonText: ["policy"],
  replaceOn: ["name", "namePrefix", "role"],
  autoName: "name",
  id: (inputs) => `${text(inputs, "role")}:${text(inputs, "name")}`,
  conflict: "EntityAlreadyExists",
  computed: {},
};

/** aws:iam/rolePolicyAttachment:RolePolicyAttachment. */
export const rolePolicyAttachment: ResourceType = {
  type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  inputs: z.looseObject({ role: z.string(), policyArn: z.string().startsWith("arn:", "must be an ARN") }),
  replaceOn: ["role", "policyArn"],
  id: (inputs) => `${text(inputs, "role")}/${text(inputs, "policyArn")}`,
  conflict: "EntityAlreadyExists",
  computed: {},
};

/** aws:iam/policy:Policy, a managed policy. */
export const policy: ResourceType = {
  type: "aws:iam/policy:Policy",
  isTaggable: true,
  inputs: z.looseObject({ policy: policyDocument }),
  jsonText: ["policy"],
  replaceOn: ["name", "namePrefix", "path", "description"],
  autoName: "name",
  id: (inputs, account) =>
    `arn:${account.partition}:iam::${account.accountId}:policy${inputs.path ?? "/"}${text(inputs, "name")}`,
  conflict: "EntityAlreadyExists",
  defaults: { path: "/" },
  computed: {
    arn: ({ id }) => id,
    policyId: () => `ANPA${randomId(17).toUpperCase()}`,
    attachmentCount: () => 0,
  },
};

function roleName() {
  return z.string().regex(/^[\w+=,.@-]{1,64}$/, "must have 1 to 64 characters: letters, digits and +=,.@_-");
}

function isPolicy(json: string): boolean {
  try {
    return "Statement" in JSON.parse(json);
  } catch {
    return false;
  }
}
