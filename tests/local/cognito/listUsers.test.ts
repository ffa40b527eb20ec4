import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AdminGetUserCommand,
  CognitoIdentityProviderClient,
  ListUsersCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessKeyOf } from "../../../local/aws/iam/callers";
import { AwsAccount } from "../../../local/aws/support/account";
import { type CognitoDouble, startCognito } from "../../../local/cognito/cognito";
import { Events } from "../../../local/support/events";

// The local Cognito answers ListUsers calls of the real SDK. It refuses the same requests as Cognito and IAM.
const POOL = "ap-northeast-1_Local12AB";
const OTHER = "ap-northeast-1_Other12AB";
const customer = (email: string, sub: string) => ({ email, sub, password: "-", label: email });
const customers = [
  customer("mori@example.com", "a7c41a68-50d1-7051-9c1b-2f1c8a1d0001"),
  customer('o"hara@example.com', "a7c41a68-50d1-7051-9c1b-2f1c8a1d0002"),
  customer("mori@example.com", "b7c41a68-50d1-7051-9c1b-2f1c8a1d0003"),
];

let account: AwsAccount;
let cognito: CognitoDouble;
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-users-"));

beforeAll(async () => {
  account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
  for (const id of [POOL, OTHER])
    account.put({ type: "aws:cognito/userPool:UserPool", id, inputs: {}, outputs: { id } });
  cognito = await startCognito({
    account,
    dir: join(dir, "cognito"),
    ports: { domain: 0, idp: 0 },
    customers,
    events: new Events(),
  });
});
afterAll(async () => {
  await cognito.close();
  rmSync(dir, { recursive: true });
});

function client(accessKeyId = "operator"): CognitoIdentityProviderClient {
  return new CognitoIdentityProviderClient({
    endpoint: cognito.idpUrl,
    region: "ap-northeast-1",
    credentials: { accessKeyId, secretAccessKey: "local" },
    maxAttempts: 1,
  });
}

async function subs(Filter?: string): Promise<(string | undefined)[]> {
  const { Users = [] } = await client().send(new ListUsersCommand({ UserPoolId: POOL, ...(Filter && { Filter }) }));
  return Users.map(({ Username }) => Username);
}
const [mori, ohara, secondMori] = customers.map(({ sub }) => sub);

describe("ListUsers", () => {
  it.each([
    [undefined, [mori, ohara, secondMori]],
    ['email = "mori@example.com"', [mori, secondMori]],
    ['email="mori@example.com"', [mori, secondMori]],
    ['email = "Mori@example.com"', []],
    ['email = "o\\"hara@example.com"', [ohara]],
    [`sub = "${ohara}"`, [ohara]],
    ['sub ^= "a7c4"', [mori, ohara]],
    ['name = "Mori"', []],
  ])("with the filter %s finds %j", async (filter, found) => {
    expect(await subs(filter)).toEqual(found);
  });

  it.each([
    ["an unquoted value", "email = mori@example.com"],
    ["an unescaped quotation mark", 'email = "o"hara@example.com"'],
    ["an unknown operator", 'email ~ "mori"'],
    ["two conditions", 'email = "mori@example.com" and sub ^= "a7"'],
    ["an attribute that cannot be searched", 'custom:plan = "vip"'],
    ["a filter of more than 256 characters", `email = "${"m".repeat(256)}"`],
  ])("refuses %s", async (_name, filter) => {
    await expect(subs(filter)).rejects.toMatchObject({ name: "InvalidParameterException" });
  });

  it("returns pages, and only the requested attributes", async () => {
    const send = (PaginationToken?: string) => {
      const page = { Limit: 2, ...(PaginationToken && { PaginationToken }) };
      return client().send(new ListUsersCommand({ UserPoolId: POOL, AttributesToGet: ["sub"], ...page }));
    };
    const first = await send();
    expect(first.Users?.map(({ Attributes }) => Attributes)).toEqual([
      [{ Name: "sub", Value: mori }],
      [{ Name: "sub", Value: ohara }],
    ]);
    const last = await send(first.PaginationToken);
    expect([last.Users?.length, last.PaginationToken]).toEqual([1, undefined]);
  });

  it("refuses a pool that does not exist", async () => {
    const missing = client().send(new ListUsersCommand({ UserPoolId: "ap-northeast-1_Nobody123" }));
    await expect(missing).rejects.toMatchObject({ name: "ResourceNotFoundException" });
  });

  it("refuses a role whose policy allows only another pool", async () => {
    const arn = `arn:aws:iam::${account.accountId}:role/admin`;
    const Resource = [account.arn("cognito-idp", `userpool/${OTHER}`)];
    const policy = JSON.stringify({ Statement: [{ Effect: "Allow", Action: ["cognito-idp:ListUsers"], Resource }] });
    account.put({ type: "aws:iam/role:Role", id: "admin", inputs: {}, outputs: { id: "admin", arn } });
    account.put({ type: "aws:iam/rolePolicy:RolePolicy", id: "p", inputs: {}, outputs: { role: "admin", policy } });
    const ask = (UserPoolId: string) => client(accessKeyOf(arn)).send(new ListUsersCommand({ UserPoolId }));
    await expect(ask(POOL)).rejects.toMatchObject({ name: "AccessDeniedException" });
    expect((await ask(OTHER)).Users).toHaveLength(3);
  });
});

describe("AdminGetUser", () => {
  const subOf = async (Username: string, UserPoolId = POOL) => {
    const found = await client().send(new AdminGetUserCommand({ UserPoolId, Username }));
    return [found.Username, found.UserAttributes?.find(({ Name }) => Name === "sub")?.Value];
  };

  it("finds a user by sub and by e-mail address, in upper or lower case when the pool ignores case", async () => {
    const id = "ap-northeast-1_Nocase12A";
    const outputs = { id, usernameConfiguration: { caseSensitive: false } };
    account.put({ type: "aws:cognito/userPool:UserPool", id, inputs: {}, outputs });
    expect(await subOf(ohara ?? "")).toEqual([ohara, ohara]);
    expect(await subOf("MORI@Example.com", id)).toEqual([mori, mori]);
  });

  it.each([
    ["an address in upper case in a pool that does not ignore the case", "MORI@example.com"],
    ["an unknown e-mail address", "nori@example.com"],
  ])("refuses %s", async (_what, name) => {
    await expect(subOf(name)).rejects.toMatchObject({ name: "UserNotFoundException" });
  });
});
