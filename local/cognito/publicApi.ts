import { createHmac } from "node:crypto";
import { z } from "zod";
import { JsonProtocolError } from "../aws/jsonProtocol";
import type { Caller, Customers } from "./customers";
import type { Directory } from "./directory";

/** Members of every call. The double ignores the members for analytics and Lambda triggers. */
const shared = {
  ClientId: z.string().min(1).max(128),
  SecretHash: z.string().optional(),
  Username: z.string().min(1).max(128),
  AnalyticsMetadata: z.unknown().optional(),
  UserContextData: z.unknown().optional(),
  ClientMetadata: z.record(z.string(), z.string()).optional(),
};
const Attribute = z.strictObject({ Name: z.string(), Value: z.string().optional() });
const Code = z.string().regex(/^\S{1,2048}$/);

const SignUpInput = z.strictObject({
  ...shared,
  Password: z.string().max(256),
  UserAttributes: z.array(Attribute).optional(),
  ValidationData: z.array(Attribute).optional(),
});
const ConfirmSignUpInput = z.strictObject({
  ...shared,
  ConfirmationCode: Code,
  ForceAliasCreation: z.boolean().optional(),
});
const UserInput = z.strictObject(shared);
const ConfirmForgotPasswordInput = z.strictObject({ ...shared, ConfirmationCode: Code, Password: z.string().max(256) });

/**
 * Operations of the API of user pools that anybody may call with the id of an app client: sign-up and password reset.
 * They have no signature, so IAM does not apply.
 */
export function publicOperations(
  directory: Directory,
  customers: Customers,
): Record<string, (body: unknown) => object> {
  /** @throws JsonProtocolError for an unknown client or a wrong hash */
  const callerOf = ({ ClientId, SecretHash, Username }: z.output<typeof UserInput>): Caller => {
    const client = directory.client(ClientId);
    if (!client)
      throw new JsonProtocolError("ResourceNotFoundException", `User pool client ${ClientId} does not exist.`);
    const expected =
      client.secret &&
      createHmac("sha256", client.secret)
        .update(Username + ClientId)
        .digest("base64");
    if (SecretHash !== expected) throw wrongSecretHash(ClientId, client.secret, SecretHash);
    return { client, rules: directory.rules(client.poolId) };
  };

  return {
    SignUp: (body) => {
      const input = parse(SignUpInput, body);
      const email = input.UserAttributes?.find(({ Name }) => Name === "email")?.Value ?? input.Username;
      if (email.toLowerCase() !== input.Username.toLowerCase())
        throw new JsonProtocolError(
          "InvalidParameterException",
          "Attributes did not conform to the schema: email: must be the Username.",
        );
      const { sub, CodeDeliveryDetails } = customers.signUp(callerOf(input), input.Username, input.Password);
      return { UserConfirmed: false, UserSub: sub, CodeDeliveryDetails };
    },
    ConfirmSignUp: (body) => {
      const input = parse(ConfirmSignUpInput, body);
      customers.confirmSignUp(callerOf(input), input.Username, input.ConfirmationCode);
      return {};
    },
    ResendConfirmationCode: (body) => {
      const input = parse(UserInput, body);
      return customers.resendCode(callerOf(input), input.Username);
    },
    ForgotPassword: (body) => {
      const input = parse(UserInput, body);
      return customers.forgotPassword(callerOf(input), input.Username);
    },
    ConfirmForgotPassword: (body) => {
      const input = parse(ConfirmForgotPasswordInput, body);
      customers.resetPassword(callerOf(input), input.Username, input.ConfirmationCode, input.Password);
      return {};
    },
  };
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const { data, error } = schema.safeParse(body);
  if (error)
    throw new JsonProtocolError("InvalidParameterException", `1 validation error detected: ${z.prettifyError(error)}`);
  return data as z.output<S>;
}

function wrongSecretHash(clientId: string, secret: string | undefined, given: string | undefined): JsonProtocolError {
  const text = !secret
    ? `Client ${clientId} is configured without secret but SecretHash was received`
    : given === undefined
      ? `Client ${clientId} is configured with secret but SECRET_HASH was not received`
      : `Unable to verify secret hash for client ${clientId}`;
  return new JsonProtocolError("NotAuthorizedException", text);
}
