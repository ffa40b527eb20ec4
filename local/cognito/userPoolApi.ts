import type { Hono } from "hono";
import { z } from "zod";
import { userPool, userPoolClient } from "../aws/cognito";
import { JsonProtocolError, jsonProtocolApp } from "../aws/jsonProtocol";
import type { AwsAccount } from "../aws/support/account";
import type { Events } from "../support/events";
import { isObject } from "../support/protocol/value";
import type { Customers, KnownCustomer } from "./customers";
import type { Directory } from "./directory";
import { publicOperations } from "./publicApi";

/**
 * Attributes that ListUsers can search.
 * https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
 */
const SEARCHABLE = [
  "username",
  "email",
  "phone_number",
  "name",
  "given_name",
  "family_name",
  "preferred_username",
  "cognito:user_status",
  "status",
  "sub",
];

const poolId = z.string().regex(/^[\w-]+_[0-9a-zA-Z]+$/);
const ListUsersInput = z.strictObject({
  UserPoolId: poolId,
  AttributesToGet: z.array(z.string().min(1).max(32)).optional(),
  Limit: z.int().min(0).max(60).optional(),
  PaginationToken: z.string().min(1).optional(),
  Filter: z.string().max(256).optional(),
});

const PoolInput = z.strictObject({ UserPoolId: poolId });
const GetUserInput = PoolInput.extend({ Username: z.string().min(1).max(128) });
const ListClientsInput = PoolInput.extend({ MaxResults: z.int().min(1).max(60) });
const ClientInput = PoolInput.extend({ ClientId: z.string().regex(/^\w{1,128}$/) });

/**
 * Serves the API of user pools: `POST /`. It supports ListUsers, AdminGetUser, sign-up, password reset, and reading the settings of a pool
 * and its clients.
 */
export function userPoolApi(account: AwsAccount, directory: Directory, customers: Customers, events: Events): Hono {
  function listUsers(body: unknown) {
    const { data: input, error } = ListUsersInput.safeParse(body);
    if (!input) throw invalidParameter(`1 validation error detected: ${z.prettifyError(error)}`);
    const { UserPoolId, AttributesToGet, Limit = 60, PaginationToken = "0", Filter = "" } = input;
    if (!directory.hasPool(UserPoolId))
      throw new JsonProtocolError("ResourceNotFoundException", `User pool ${UserPoolId} does not exist.`);
    const found = customers.all.filter(parseFilter(Filter));
    const from = Number(PaginationToken);
    const to = from + (Limit || 60);
    return {
      Users: found.slice(from, to).map((customer) => describe(customer, AttributesToGet)),
      ...(to < found.length && { PaginationToken: String(to) }),
    };
  }

  /**
   * AdminGetUser takes the `sub` or the e-mail address with which the user signs in.
   * https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminGetUser.html
   */
  function adminGetUser(body: unknown) {
    const { UserPoolId, Username } = GetUserInput.parse(body);
    poolOf(UserPoolId);
    const found = customers.bySub(Username) ?? customers.byEmail(Username, directory.rules(UserPoolId));
    if (!found) throw new JsonProtocolError("UserNotFoundException", "User does not exist.");
    const { Attributes: UserAttributes, ...user } = describe(found);
    return { ...user, UserAttributes };
  }

  function poolOf(id: string) {
    const found = account.get(userPool.type, id);
    if (found) return found.outputs;
    throw new JsonProtocolError("ResourceNotFoundException", `User pool ${id} does not exist.`);
  }

  function describeUserPool(body: unknown) {
    const { UserPoolId } = PoolInput.parse(body);
    const { name, deletionProtection, emailConfiguration } = poolOf(UserPoolId);
    const email = isObject(emailConfiguration) ? emailConfiguration : {};
    return {
      UserPool: {
        Id: UserPoolId,
        Name: name,
        DeletionProtection: deletionProtection,
        EmailConfiguration: {
          EmailSendingAccount: email.emailSendingAccount ?? "COGNITO_DEFAULT",
          SourceArn: email.sourceArn,
          From: email.fromEmailAddress,
        },
      },
    };
  }

  function listUserPoolClients(body: unknown) {
    const { UserPoolId } = ListClientsInput.parse(body);
    poolOf(UserPoolId);
    const clients = account.list(userPoolClient.type).filter(({ outputs }) => outputs.userPoolId === UserPoolId);
    return {
      UserPoolClients: clients.map(({ id, outputs }) => ({ ClientId: id, UserPoolId, ClientName: outputs.name })),
    };
  }

  function describeUserPoolClient(body: unknown) {
    const { UserPoolId, ClientId } = ClientInput.parse(body);
    const found = account.get(userPoolClient.type, ClientId)?.outputs;
    if (found?.userPoolId !== UserPoolId)
      throw new JsonProtocolError("ResourceNotFoundException", `User pool client ${ClientId} does not exist.`);
    const { callbackUrls, logoutUrls } = found;
    return { UserPoolClient: { UserPoolId, ClientId, CallbackURLs: callbackUrls, LogoutURLs: logoutUrls } };
  }

  const target = "AWSCognitoIdentityProviderService";
  const open = publicOperations(directory, customers);
  const operations = {
    ...open,
    ListUsers: listUsers,
    AdminGetUser: adminGetUser,
    DescribeUserPool: describeUserPool,
    ListUserPoolClients: listUserPoolClients,
    DescribeUserPoolClient: describeUserPoolClient,
  };
  const accesses = (operation: string, { UserPoolId }: Record<string, unknown>) => {
    const resource = account.arn("cognito-idp", `userpool/${UserPoolId}`);
    return operation in open ? [] : [{ action: `cognito-idp:${operation}`, resource }];
  };
  return jsonProtocolApp({ source: "cognito", target, operations, account, accesses }, events);
}

/**
 * Parses a filter such as `email = "mori@example.com"` or `sub ^= "3f"`. Inside the value, a backslash escapes a
 * quotation mark. An empty filter matches every user.
 */
function parseFilter(filter: string): (customer: KnownCustomer) => boolean {
  if (filter === "") return () => true;
  const match = /^\s*([\w:]+)\s*(\^?=)\s*"((?:[^"\\]|\\.)*)"\s*$/.exec(filter);
  if (!match) throw invalidParameter("Error while parsing filter.");
  const [, attribute = "", operator, quoted = ""] = match;
  if (!SEARCHABLE.includes(attribute)) throw invalidParameter(`Invalid search attribute: ${attribute}`);
  const value = quoted.replaceAll(/\\(.)/g, "$1");
  return (customer) => {
    const own = attributesOf(customer)[attribute];
    return own !== undefined && (operator === "=" ? own === value : own.startsWith(value));
  };
}

/** A user's attributes, and the properties that can be searched like attributes. */
function attributesOf({ sub, email, status }: KnownCustomer): Record<string, string> {
  const email_verified = String(status === "CONFIRMED");
  return { sub, email, email_verified, username: sub, status: "Enabled", "cognito:user_status": status };
}

function describe(customer: KnownCustomer, wanted = ["sub", "email", "email_verified"]) {
  const known = attributesOf(customer);
  const Attributes = wanted.map((Name) => {
    if (known[Name] === undefined) throw invalidParameter(`Invalid attribute: ${Name}`);
    return { Name, Value: known[Name] };
  });
  return {
    Username: customer.sub,
    Attributes,
    Enabled: true,
    UserStatus: customer.status,
    UserCreateDate: customer.createdAt / 1000,
    UserLastModifiedDate: customer.createdAt / 1000,
  };
}

function invalidParameter(message: string): JsonProtocolError {
  return new JsonProtocolError("InvalidParameterException", message);
}
