import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { JsonProtocolError } from "../aws/jsonProtocol";

/** Rules for new passwords, from the properties of a user pool. */
export interface PasswordPolicy {
  minimumLength: number;
  requireLowercase: boolean;
  requireUppercase: boolean;
  requireNumbers: boolean;
  requireSymbols: boolean;
}

/**
 * Symbols that Cognito counts, with the space between other characters.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/managing-users-passwords.html
 */
const SYMBOL = /[\^$*.[\]{}()?"!@#%&/\\,><':;|_~`=+-]|(?<=\S) (?=\S)/;
const MAX_LENGTH = 256;

/** @throws JsonProtocolError InvalidPasswordException with Cognito's words for the first rule that is broken */
export function requirePassword(password: string, policy: PasswordPolicy): void {
  const problems = [
    password.length < policy.minimumLength && "Password not long enough",
    password.length > MAX_LENGTH && "Password too long",
    policy.requireLowercase && !/[a-z]/.test(password) && "Password must have lowercase characters",
    policy.requireUppercase && !/[A-Z]/.test(password) && "Password must have uppercase characters",
    policy.requireNumbers && !/\d/.test(password) && "Password must have numeric characters",
    policy.requireSymbols && !SYMBOL.test(password) && "Password must have symbol characters",
  ];
  const problem = problems.find((each) => each !== false);
  if (problem)
    throw new JsonProtocolError("InvalidPasswordException", `Password did not conform with policy: ${problem}`);
}

/** The cost is low, because a start of the local cloud must be fast. */
const COST = { N: 1024 };

/** Returns salt and hash of a password as one text. */
export function hashPassword(password: string, salt = randomBytes(16)): string {
  return `${salt.toString("base64url")}.${scryptSync(password, salt, 32, COST).toString("base64url")}`;
}

/** Whether the password has this hash. */
export function isPassword(password: string, hash: string): boolean {
  const salt = Buffer.from(hash.split(".")[0] ?? "", "base64url");
  return timingSafeEqual(Buffer.from(hashPassword(password, salt)), Buffer.from(hash));
}
