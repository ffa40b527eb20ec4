import { GetAccountCommand, GetEmailIdentityCommand, SESv2Client } from "@aws-sdk/client-sesv2";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";

/** Share of the daily quota above which the check warns. */
const QUOTA_SHARE = 0.8;

/** Facts about Amazon SES in one Region. */
interface SesFacts {
  region: string;
  /** Whether SES has left its sandbox, in which it sends only to verified addresses. */
  hasProductionAccess: boolean;
  canSend: boolean;
  /** E-mails in 24 hours. */
  quota: { max: number; sent: number };
  identity: string;
  /** Undefined when SES does not have the identity. */
  isVerified: boolean | undefined;
}

/** Checks that Amazon SES delivers the sign-in's e-mail to every customer. */
function judgeSes({ region, hasProductionAccess, canSend, quota, identity, isVerified }: SesFacts): Check {
  const label = "Amazon SES";
  if (isVerified !== true) {
    const seen = isVerified === undefined ? `has no identity ${identity}` : `${identity} is not verified`;
    const todo = `Verify ${identity} in SES's console in ${region}: add the DNS records, or follow the link in the e-mail.`;
    return failed(label, `${seen}: nobody can sign up`, todo);
  }
  if (!canSend) {
    const todo = "Read AWS's e-mail about the pause, answer it, and look at SES's console: Account dashboard.";
    return failed(label, "AWS has paused the sending: nobody can sign up", todo);
  }
  if (!hasProductionAccess) {
    const seen = `is in its sandbox in ${region}: it sends only to addresses that you have verified`;
    return failed(label, seen, `Request production access in SES's console in ${region}. AWS answers within a day.`);
  }
  const sent = `${quota.sent} of ${quota.max} e-mails in 24 hours`;
  const todo = `Ask AWS for a higher sending quota: Service Quotas, Amazon SES, in ${region}.`;
  if (quota.sent >= quota.max) return failed(label, `${sent}: it sends no more`, todo);
  if (quota.sent >= QUOTA_SHARE * quota.max) return warning(label, sent, todo);
  return ok(label, `${identity} is verified; ${sent}`);
}

/**
 * Reads the identity and the quota of Amazon SES.
 *
 * @param identityArn `auth.email.identityArn` of the configuration. The identity may be in another Region
 */
export async function checkSes(identityArn: string, aws: Aws): Promise<Check> {
  const [, , , region = aws.region] = identityArn.split(":");
  const identity = identityArn.slice(identityArn.indexOf("/") + 1);
  const client = new SESv2Client(awsClient("inspection", { ...aws, region }));
  const [account, isVerified] = await Promise.all([
    client.send(new GetAccountCommand({})),
    client.send(new GetEmailIdentityCommand({ EmailIdentity: identity })).then(
      ({ VerifiedForSendingStatus }) => VerifiedForSendingStatus === true,
      (error: Error) => {
        if (error.name === "NotFoundException") return undefined;
        throw error;
      },
    ),
  ]);
  const { ProductionAccessEnabled, SendingEnabled, SendQuota } = account;
  return judgeSes({
    region,
    hasProductionAccess: ProductionAccessEnabled === true,
    canSend: SendingEnabled === true,
    quota: { max: SendQuota?.Max24HourSend ?? 0, sent: SendQuota?.SentLast24Hours ?? 0 },
    identity,
    isVerified,
  });
}
