import * as pulumi from "@pulumi/pulumi";
import * as z from "zod";
import { parseConfig } from "../../dynamic/config";
import { isStackName, STACK_NAME_RULE } from "../../names";

const stackName = z.string().refine(isStackName, `must be the name of a stack: ${STACK_NAME_RULE}`);

/** Configuration of the program, without secrets. */
const GithubConfig = z.object({
  /** `owner/name`, or `owner@id/name@id`, as in the `sub` of GitHub's tokens. */
  repository: z
    .string("must be owner/name, or owner@id/name@id")
    .regex(/^[\w.-]+(@\d+)?\/[\w.-]+(@\d+)?$/, "must be owner/name, or owner@id/name@id"),
  environments: z.array(stackName).min(1).default(["dev", "staging", "prod"]),
  /** AWS attaches at most 10 policies to a role. */
  previews: z.array(stackName).max(10).default(["dev"]),
  state: z.strictObject({
    bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{2,62}$/, "must be the name of an S3 bucket"),
    create: z.boolean().default(false),
  }),
  providerArn: z
    .string()
    .regex(/^arn:aws[\w-]*:iam::\d{12}:oidc-provider\//, "must be the ARN of an IAM OIDC provider")
    .optional(),
});

/** Parsed configuration. */
export type GithubConfig = z.infer<typeof GithubConfig>;

/**
 * Reads the stack's configuration.
 *
 * @throws pulumi.RunError that lists every bad value: the key, the allowed values and the value itself
 */
export function loadConfig(): GithubConfig {
  const source = new pulumi.Config();
  const { config, problems = [] } = parseConfig(GithubConfig, (key) => source.get(key));
  const strangers = config?.previews.filter((name) => !config.environments.includes(name)) ?? [];
  for (const name of strangers) problems.push(`previews: must be stacks of environments, got "${name}"`);
  problems.push(...sharedNames(config?.environments ?? []));
  if (!config || problems.length > 0) {
    throw new pulumi.RunError(
      `The configuration is not valid:${problems.map((line) => `\n  ${source.name}:${line}`).join("")}`,
    );
  }
  return config;
}

/**
 * A stack's role may change every name that begins with the stack's name and a hyphen. So the name of a stack must not
 * begin with the name of another stack and a hyphen. `github` counts as a stack, because this program uses such names.
 */
function sharedNames(environments: string[]): string[] {
  return environments.flatMap((name) => {
    const owner = [...environments.filter((other) => other !== name), "github"].find((other) =>
      `${name}-`.startsWith(`${other}-`),
    );
    return owner ? [`environments: must not begin with "${owner}-", whose names it would share, got "${name}"`] : [];
  });
}
