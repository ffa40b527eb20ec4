import { CognitoJwtVerifier } from "aws-jwt-verify";
import {
  CognitoJwtInvalidTokenUseError,
  FailedAssertionError,
  JwtExpiredError,
  JwtInvalidSignatureError,
  JwtParseError,
  JwtWithoutValidKidError,
  KidNotFoundInJwksError,
  ParameterValidationError,
} from "aws-jwt-verify/error";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { ApiError } from "../../contract/errors";
import type { Request } from "./http";

/** Which tokens are ours. */
export interface IdentitySettings {
  userPoolId: string;
  clientId: string;
}

/** Who is calling. */
export interface Caller {
  /** Cognito `sub`. */
  userId: string;
  email?: string;
}

/**
 * Finds out who is calling, from the verified ID token and nothing else. API Gateway's authorizer has checked the token
 * already; it cannot tell an ID token from an access token and accepts one without `exp`, so it is checked again here.
 *
 * @returns a function from request to caller; it throws ApiError `unauthorized` or `wrong_token` for a
 * token at fault, and `unavailable` when the pool's keys cannot be had
 */
export function createIdentity(settings: IdentitySettings): (event: Request) => Promise<Caller> {
  const verifier = CognitoJwtVerifier.create(
    {
      userPoolId: settings.userPoolId,
      clientId: settings.clientId,
      tokenUse: "id",
      customJwtCheck: ({ payload }) => {
        if (typeof payload.exp !== "number") throw new JwtExpiredError("exp is required", payload.exp, "a number");
      },
    },
    { jwksCache: new SimpleJwksCache({ fetcher: { fetch: fetchJwks } }) },
  );
  return async (event) => {
    const token = event.headers.authorization?.replace(/^bearer /i, "");
    if (!token) throw new ApiError("unauthorized");
    try {
      const { sub, email } = await verifier.verify(token);
      return { userId: sub, ...(typeof email === "string" && { email }) };
    } catch (cause) {
      throw refusal(cause);
    }
  };
}

/** What is wrong with a token, as against with our way to the keys that verify it. */
const tokenFaults = [
  FailedAssertionError,
  JwtInvalidSignatureError,
  JwtParseError,
  JwtWithoutValidKidError,
  KidNotFoundInJwksError,
  // The library's way of saying that the issuer is none it knows.
  ParameterValidationError,
];

/** A token at fault is refused; keys that cannot be had are our trouble, and must not sign the customer out. */
function refusal(cause: unknown): ApiError {
  if (cause instanceof CognitoJwtInvalidTokenUseError) return new ApiError("wrong_token", undefined, { cause });
  const isTokenFault = tokenFaults.some((fault) => cause instanceof fault);
  return new ApiError(isTokenFault ? "unauthorized" : "unavailable", undefined, { cause });
}

/** Fetches the pool's keys, from the origin that AWS's own endpoint variable names when there is one, as the AWS SDKs do. */
async function fetchJwks(uri: string): Promise<ArrayBuffer> {
  const origin = process.env.AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER;
  const url = origin ? new URL(new URL(uri).pathname, origin) : uri;
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new Error(`${response.status} from the user pool's key set`);
  return response.arrayBuffer();
}
