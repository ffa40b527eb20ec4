import { randomInt } from "node:crypto";
import { JsonProtocolError } from "../aws/jsonProtocol";

/** A code that Cognito has sent by e-mail. */
export interface SentCode {
  purpose: CodePurpose;
  code: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** Number of wrong attempts so far. */
  failures: number;
}

/** Reason for a code. */
export type CodePurpose = "confirmSignUp" | "resetPassword";

const HOUR_MS = 3_600_000;

/**
 * Lifetimes of codes.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
 */
export const CODE_HOURS: Record<CodePurpose, number> = { confirmSignUp: 24, resetPassword: 1 };

/** Number of wrong attempts after which the double refuses the code. Cognito allows between 5 and 20. */
const MAX_FAILURES = 5;

/** Creates a code of six digits. */
export function newCode(purpose: CodePurpose): SentCode {
  const code = String(randomInt(1_000_000)).padStart(6, "0");
  return { purpose, code, expiresAt: Date.now() + CODE_HOURS[purpose] * HOUR_MS, failures: 0 };
}

/**
 * Checks a code and counts a wrong attempt in `sent`.
 *
 * @param sent the newest code of the user
 * @throws JsonProtocolError CodeMismatchException, ExpiredCodeException or LimitExceededException
 */
export function checkCode(sent: SentCode | undefined, purpose: CodePurpose, code: string): void {
  if (sent?.purpose !== purpose || sent.expiresAt <= Date.now()) throw expiredCode();
  if (sent.failures >= MAX_FAILURES)
    throw new JsonProtocolError("LimitExceededException", "Attempt limit exceeded, please try after some time.");
  if (sent.code === code.trim()) return;
  sent.failures += 1;
  throw wrongCode();
}

/** Cognito's error for an expired code, and for a code that was not requested. */
export function expiredCode(): JsonProtocolError {
  return new JsonProtocolError("ExpiredCodeException", "Invalid code provided, please request a code again.");
}

/** Cognito's error for a wrong code. */
export function wrongCode(): JsonProtocolError {
  return new JsonProtocolError("CodeMismatchException", "Invalid verification code provided, please try again.");
}
