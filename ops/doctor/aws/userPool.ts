import {
  CognitoIdentityProviderClient,
  DescribeUserPoolClientCommand,
  DescribeUserPoolCommand,
  ListUserPoolClientsCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import type { PlainConfig } from "../../../infra/configSchema";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { createAgain } from "./stackResources";

/** Settings of a user pool and of its clients. */
export interface PoolFacts {
  id: string;
  isProtected: boolean;
  /** Who sends the e-mail: `DEVELOPER` is Amazon SES. */
  sender: { account: string; from: string | undefined; identityArn: string | undefined };
  clients: { id: string; callbackUrls: string[]; logoutUrls: string[] }[];
}

type Wanted = Pick<PlainConfig, "auth" | "frontend" | "deletionProtection">;

/** Checks that the user pool and its client are as configured. */
export function judgeUserPool(pool: PoolFacts | undefined, { auth, frontend, deletionProtection }: Wanted): Check[] {
  if (!pool)
    return [failed("user pool", "AWS has no user pool with the stack's tags: nobody can sign in", createAgain)];
  const repair = 'Run "pulumi up --refresh".';
  const lines: Check[] = [];
  if (pool.isProtected === deletionProtection) lines.push(ok("user pool", pool.id));
  else {
    const seen = `deletion protection of ${pool.id} is ${onOff(pool.isProtected)}, configured ${onOff(deletionProtection)}`;
    lines.push(warning("user pool", seen, repair));
  }

  const [client, ...others] = pool.clients;
  if (!client || others.length > 0) {
    const seen = client ? `the pool has ${pool.clients.length} clients: somebody added one` : "the pool has no client";
    const todo = client ? "Delete the client that the program did not create, in Cognito's console." : createAgain;
    lines.push((client ? warning : failed)("sign-in URLs", seen, todo));
  } else {
    const differences = [
      ...difference("callback URL", client.callbackUrls, frontend.callbackUrls),
      ...difference("logout URL", client.logoutUrls, frontend.logoutUrls),
    ];
    const isMissing = differences.some((text) => text.includes("is missing"));
    if (differences.length === 0) lines.push(ok("sign-in URLs", `${client.callbackUrls.length} callback URLs`));
    else lines.push((isMissing ? failed : warning)("sign-in URLs", differences.join("; "), repair));
  }

  const { account, from, identityArn } = pool.sender;
  const wanted = auth.email;
  const isSame = wanted
    ? account === "DEVELOPER" && from === wanted.from && identityArn === wanted.identityArn
    : account === "COGNITO_DEFAULT";
  if (!isSame) {
    const now = account === "DEVELOPER" ? `Amazon SES as ${from}` : "Cognito itself, at most about 50 a day";
    const seen = `sent by ${now}, configured ${wanted ? `Amazon SES as ${wanted.from}` : "Cognito itself"}`;
    lines.push(warning("user pool e-mail", seen, repair));
  }
  return lines;
}

/** Reads the stack's user pool. */
export async function checkUserPool(ids: string[], wanted: Wanted, aws: Aws): Promise<Check[]> {
  const client = new CognitoIdentityProviderClient(awsClient("cognito", aws));
  const [UserPoolId] = ids;
  if (UserPoolId === undefined) return judgeUserPool(undefined, wanted);
  const read = async (): Promise<PoolFacts> => {
    const [{ UserPool }, { UserPoolClients = [] }] = await Promise.all([
      client.send(new DescribeUserPoolCommand({ UserPoolId })),
      client.send(new ListUserPoolClientsCommand({ UserPoolId, MaxResults: 60 })),
    ]);
    const clients = UserPoolClients.map(async ({ ClientId }) => {
      const found = await client.send(new DescribeUserPoolClientCommand({ UserPoolId, ClientId }));
      const { CallbackURLs: callbackUrls = [], LogoutURLs: logoutUrls = [] } = found.UserPoolClient ?? {};
      return { id: ClientId ?? "", callbackUrls, logoutUrls };
    });
    const email = UserPool?.EmailConfiguration;
    return {
      id: UserPoolId,
      isProtected: UserPool?.DeletionProtection === "ACTIVE",
      sender: { account: email?.EmailSendingAccount ?? "", from: email?.From, identityArn: email?.SourceArn },
      clients: await Promise.all(clients),
    };
  };
  const pool = await read().catch((error: Error) => {
    // The tags of a deleted pool stay for some time.
    if (error.name === "ResourceNotFoundException") return undefined;
    throw error;
  });
  return judgeUserPool(pool, wanted);
}

function difference(what: string, actual: string[], wanted: string[]): string[] {
  return [
    ...wanted.filter((url) => !actual.includes(url)).map((url) => `the ${what} ${url} is missing`),
    ...actual.filter((url) => !wanted.includes(url)).map((url) => `the ${what} ${url} is not configured`),
  ];
}

function onOff(isOn: boolean): string {
  return isOn ? "on" : "off";
}
