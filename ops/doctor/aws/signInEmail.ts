import type { PlainConfig } from "../../../infra/configSchema";
import { type Check, ok, warning } from "../check";

/**
 * Checks who sends the sign-in's e-mail. Cognito itself sends only about 50 e-mails a day. After that, nobody can sign
 * up or set a new password. https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-email.html
 */
export function checkEmail({ email }: PlainConfig["auth"]): Check {
  const name = "sign-in e-mail";
  if (email) return ok(name, `Amazon SES sends it as ${email.from}`);
  const todo =
    "Verify a domain in Amazon SES, leave the SES sandbox (README, Deploy), set auth.email and run pulumi up. Not needed " +
    "while only you sign up.";
  return warning(name, "Cognito sends it, and stops at about 50 e-mails a day", todo);
}
