import { CognitoIdentityProviderClient, ListUsersCommand } from "@aws-sdk/client-cognito-identity-provider";
import { awsClientLimits, dependency } from "./dependency";

/**
 * Maximum number of users to read in one call. A longer list of users with one e-mail address would not help the
 * operator.
 */
const LIMIT = 60;

/** Finds users of the user pool. */
export interface PoolUsers {
  /**
   * The `sub`s of all users with an e-mail address. Searches for the given spelling and for the lower-case spelling.
   */
  withEmail(email: string): Promise<string[]>;
  /** Whether a user has this `sub`. */
  has(sub: string): Promise<boolean>;
}

/**
 * Creates the search for users of the pool. Its methods throw ApiError `unavailable` when Cognito does not answer or
 * refuses the call.
 */
export function createPoolUsers(userPoolId: string): PoolUsers {
  const client = new CognitoIdentityProviderClient(awsClientLimits);

  /** Returns the `sub`s of the users whose attribute has exactly this value. */
  async function find(attribute: "email" | "sub", value: string): Promise<string[]> {
    const Filter = `${attribute} = "${value.replaceAll(/["\\]/g, "\\$&")}"`;
    const command = new ListUsersCommand({ UserPoolId: userPoolId, AttributesToGet: ["sub"], Filter, Limit: LIMIT });
    const { Users = [] } = await dependency("user pool", client.send(command));
    return Users.flatMap(({ Attributes = [] }) => Attributes.find(({ Name }) => Name === "sub")?.Value ?? []);
  }

  return {
    async withEmail(email) {
      // Cognito does not document whether its search ignores the case.
      const spellings = [...new Set([email, email.toLowerCase()])];
      const found = await Promise.all(spellings.map((spelling) => find("email", spelling)));
      return [...new Set(found.flat())];
    },
    has: async (sub) => (await find("sub", sub)).length > 0,
  };
}
