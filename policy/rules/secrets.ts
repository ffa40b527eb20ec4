import type { Rule, StackResource } from "../rule";

const PARAMETER = "aws:ssm/parameter:Parameter";

/** Parameters that are no secret. */
const plainParameters = /\/(registry-token-expiry|candidates\/[^/]+)$/;

/** Inputs that hold a secret on purpose. Pulumi encrypts them in its state. */
const secretInputs: Record<string, string[]> = {
  [PARAMETER]: ["value"],
  // The Hugging Face token while the image is built. It is in no layer of the image.
  "docker-build:index:Image": ["secrets"],
  "pulumi-nodejs:dynamic/runpod:RegistryAuth": ["password"],
  "pulumi-nodejs:dynamic/runpod:Secret": ["value"],
  "pulumi-nodejs:dynamic/stripe:WebhookSecrets": ["secret"],
};

/** Beginnings of the keys that the stack's services and image registries issue, and of private keys. */
const secretPatterns = [
  /\b[sr]k_(?:live|test)_\w{6,}/,
  /\bwhsec_\w{6,}/,
  /\brpa_\w{6,}/,
  /\bsk-(?:ant|proj|svcacct|admin)-[\w-]{6,}/,
  /\bhf_\w{6,}/,
  /\b(?:gh[opsu]|github_pat|dckr_pat)_[\w-]{6,}/,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
];

/** Paths of texts in the inputs that look like a secret. The texts themselves must not be printed. */
function plainSecrets({ type, props }: StackResource): string[] {
  const allowed = secretInputs[type] ?? [];
  return Object.keys(props)
    .filter((name) => !allowed.includes(name))
    .flatMap((name) => secretsBelow(props, name, name));
}

function secretsBelow(parent: object, key: string, path: string): string[] {
  const value = read(parent, key);
  if (typeof value === "string") return secretPatterns.some((pattern) => pattern.test(value)) ? [path] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).flatMap((child) => secretsBelow(value, child, `${path}.${child}`));
}

/** Reads a property. Undefined when a preview does not know it: then reading it throws an error. */
function read(parent: object, key: string): unknown {
  try {
    return Reflect.get(parent, key);
  } catch {
    return undefined;
  }
}

/** Rules about secrets. */
export const secretRules: Rule[] = [
  {
    name: "encrypted-parameters",
    description: "Parameters in Parameter Store are encrypted.",
    advice: 'Set type: "SecureString", as createSecret in infra/secrets.ts does.',
    check: ({ type, props }) =>
      type === PARAMETER && props.type !== "SecureString" && !plainParameters.test(String(props.name))
        ? `its type is ${props.type}`
        : undefined,
  },
  {
    name: "no-plain-secrets",
    description: "No input contains a key of Stripe, RunPod, an external LLM, Hugging Face, AWS or an image registry.",
    advice: "Store the secret with createSecret in infra/secrets.ts, and pass only the parameter's name.",
    check: (resource) => {
      const [path] = plainSecrets(resource);
      return path && `the input ${path} contains a secret`;
    },
  },
];
