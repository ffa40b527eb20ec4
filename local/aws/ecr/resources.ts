import { z } from "zod";
import type { ResourceType } from "../support/resource";
import { text } from "../support/values";

/** aws:ecr/repository:Repository. */
export const repository: ResourceType = {
  type: "aws:ecr/repository:Repository",
  isTaggable: true,
  inputs: z.looseObject({
    name: z
      .string()
      .regex(
        /^(?=.{2,256}$)[a-z0-9]+(?:[._/-][a-z0-9]+)*$/,
        "must have 2 to 256 characters: a-z and 0-9, with single . _ - or / between them",
      )
      .optional(),
    imageTagMutability: z
      .enum(["MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"])
      .optional(),
  }),
  replaceOn: ["name", "encryptionConfigurations"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "RepositoryAlreadyExistsException",
  defaults: { imageTagMutability: "MUTABLE" },
  computed: {
    arn: ({ id, account }) => account.arn("ecr", `repository/${id}`),
    registryId: ({ account }) => account.accountId,
    repositoryUrl: ({ id, account }) => `${account.accountId}.dkr.ecr.${account.region}.amazonaws.com/${id}`,
  },
};

/** aws:ecr/lifecyclePolicy:LifecyclePolicy. A repository has at most one policy. */
export const lifecyclePolicy: ResourceType = {
  type: "aws:ecr/lifecyclePolicy:LifecyclePolicy",
  inputs: z.looseObject({
    repository: z.string(),
    policy: z.string().refine(hasRules, "must be a policy with rules, or its JSON text"),
  }),
  jsonText: ["policy"],
  replaceOn: ["repository"],
  id: (inputs) => text(inputs, "repository"),
  computed: { registryId: ({ account }) => account.accountId },
};

function hasRules(json: string): boolean {
  try {
    return Array.isArray(JSON.parse(json).rules);
  } catch {
    return false;
  }
}
