import { CognitoJwtVerifier } from "aws-jwt-verify";
import {
  CognitoJwtInvalidTokenUseError,
  FailedAssertionError,
  JwkInvalidKtyError,
  JwkInvalidUseError,
  JwksValidationError,
  JwkValidationError,
  JwtBaseError,
} from "aws-jwt-verify/error";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { ApiError } from "../../contract/errors";
import { bearerToken } from "./bearer";
import type { Request } from "./http";

/** The user pool and client whose tokens are accepted. */
export interface IdentitySettings {
  userPoolId: string;
  clientId: string;
}

/** The signed-in caller. */
export interface Caller {
  /** Cognito `sub`. */
  userId: string;
  email?: string;
}

/**
 * Identifies the caller from the verified ID token only. API Gateway's authorizer has already checked the token, but it
 * accepts access tokens and tokens without `exp`. Therefore the token is verified again here.
 *
 * @returns a function from request to caller. It throws ApiError `unauthorized` or `wrong_token` for a bad token, and
 * `unavailable` when the pool's keys cannot be fetched
 */
export function createIdentity(settings: IdentitySettings): (event: Request) => Promise<Caller> {
  const verifier = CognitoJwtVerifier.create(
    {
      userPoolId: settings.userPoolId,
      clientId: settings.clientId,
      tokenUse: "id",
      customJwtCheck: ({ payload }) => {
        if (typeof payload.exp !== "number") throw new FailedAssertionError("exp is required", payload.exp, "a number");
        if (!payload.sub) throw new FailedAssertionError("sub is required", payload.sub, "a user id");
      },
    },
    { jwksCache: new SimpleJwksCache({ fetcher: { fetch: fetchJwks } }) },
  );
  return async (event) => {
    const token = bearerToken(event.headers.authorization);
    if (!token) throw new ApiError("unauthorized");
    try {
      const { sub, email } = await verifier.verify(token);
      return { userId: sub, ...(typeof email === "string" && { email }) };
    } catch (cause) {
      throw toApiError(cause);
    }
  };
}

/**
 * Converts a verification error. A bad token is rejected. A failure to fetch the pool's keys is our failure: it becomes
 * `unavailable`, so that the customer stays signed in.
 */
function toApiError(cause: unknown): ApiError {
  if (cause instanceof CognitoJwtInvalidTokenUseError) return new ApiError("wrong_token", undefined, { cause });
  // The library has a class for every fault of a token. Any other error comes from `fetchJwks` or is a fault of the
  // keys.
  const isTokenFault = cause instanceof JwtBaseError && !keyFaults.some((fault) => cause instanceof fault);
  return new ApiError(isTokenFault ? "unauthorized" : "unavailable", undefined, { cause });
}

/** Errors that the library throws when the pool's keys are not valid, regardless of the token. */
const keyFaults = [JwksValidationError, JwkValidationError, JwkInvalidKtyError, JwkInvalidUseError];

/**
 * Fetches the pool's keys. Like the AWS SDKs, it respects AWS's endpoint variable,
 * `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER`.
 */
async function fetchJwks(uri: string): Promise<ArrayBuffer> {
  const origin = process.env.AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER;
  const url = origin ? new URL(new URL(uri).pathname, origin) : uri;
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new Error(`The URL of the user pool's keys answered ${response.status}`);
  return response.arrayBuffer();
}
