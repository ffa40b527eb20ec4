import {
  AdminGetUserCommand,
  type AttributeType,
  CognitoIdentityProviderClient,
  ListUsersCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { awsClientLimits, dependency } from "./dependency";

/**
 * Maximum number of users to read in one call. A longer list of users with one e-mail address would not help the
 * operator.
 */
const LIMIT = 60;

/** Finds users of the user pool. */
export interface PoolUsers {
  /**
   * The `sub`s of all users with an e-mail address. Ignores the case as the pool's sign-in does. In an old pool, whose
   * sign-in is case-sensitive, also tries the lower-case spelling.
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
    return Users.flatMap(({ Attributes }) => subOf(Attributes));
  }

  /** Returns the `sub` of the user who signs in with this e-mail address. Cognito's search never ignores the case. */
  async function findBySignIn(email: string): Promise<string[]> {
    const command = new AdminGetUserCommand({ UserPoolId: userPoolId, Username: email });
    const found = client.send(command).catch((error: Error) => {
      if (error.name === "UserNotFoundException") return { UserAttributes: [] };
      throw error;
    });
    return subOf((await dependency("user pool", found)).UserAttributes);
  }

  return {
    async withEmail(email) {
      const spellings = [...new Set([email, email.toLowerCase()])];
      const found = await Promise.all([findBySignIn(email), ...spellings.map((spelling) => find("email", spelling))]);
      return [...new Set(found.flat())];
    },
    has: async (sub) => (await find("sub", sub)).length > 0,
  };
}

function subOf(attributes: AttributeType[] = []): string[] {
  return attributes.flatMap(({ Name, Value }) => (Name === "sub" && Value ? [Value] : []));
}
