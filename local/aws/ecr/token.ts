import { randomBytes } from "node:crypto";
import type { AwsAccount } from "../support/account";

const TOKEN_HOURS = 12;

/** Credentials of the account's registry, in the shape of ECR. */
interface RegistryToken {
  userName: "AWS";
  password: string;
  /** `<userName>:<password>` in base64. */
  authorizationToken: string;
  expiresAt: Date;
  /** URL of the registry. */
  proxyEndpoint: string;
}

/**
 * Creates a token for the account's registry. ECR tokens expire after twelve hours.
 *
 * @param roleArn role that requests the token. The token has the permissions of this role. Undefined for an operator's
 *   token
 */
export function registryToken({ accountId, region }: AwsAccount, roleArn?: string): RegistryToken {
  const userName = "AWS";
  const content = { payload: randomBytes(96).toString("base64"), roleArn };
  const password = Buffer.from(JSON.stringify(content)).toString("base64");
  return {
    userName,
    password,
    authorizationToken: Buffer.from(`${userName}:${password}`).toString("base64"),
    expiresAt: new Date(Date.now() + TOKEN_HOURS * 3_600_000),
    proxyEndpoint: `https://${accountId}.dkr.ecr.${region}.amazonaws.com`,
  };
}

/** Role that has requested a token. Undefined for an operator's token, and for a text that is not a token. */
export function roleOfToken(password: string): string | undefined {
  try {
    const { roleArn } = JSON.parse(Buffer.from(password, "base64").toString());
    return typeof roleArn === "string" ? roleArn : undefined;
  } catch {
    return undefined;
  }
}
