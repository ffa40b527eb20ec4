/** Next step of the operator after AWS has not done a call. */
export function awsTodo(error: unknown): string {
  const { name = "", message = "" } = error instanceof Error ? error : {};
  if (/AccessDenied|NotAuthorized|AuthorizationError/.test(name)) {
    const action = /to perform: ([\w:-]+)/.exec(message)?.[1] ?? "this action";
    return `Allow your AWS user ${action}, then run the command again.`;
  }
  if (/Credentials|TokenProvider|ExpiredToken|InvalidClientTokenId|SSO/.test(name))
    return "Sign in to AWS (aws sso login), or set AWS_PROFILE.";
  // AWS also answers this in a Region that the account has not turned on.
  if (/UnrecognizedClient/.test(name))
    return "Sign in to AWS (aws sso login), or set AWS_PROFILE. Does the account use the Region aws:region of the stack's file?";
  if (/Signature|RequestExpired|RequestTimeTooSkewed/.test(name))
    return "Check AWS_SECRET_ACCESS_KEY and this machine's clock, then run the command again.";
  if (/Throttl|TooManyRequests/.test(name)) return "AWS limits the calls: wait a minute, then run the command again.";
  return "Check aws:region in the stack's file and this machine's network, then run the command again.";
}
