import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { stackNames } from "../../../names";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";

const HOUR_MS = 3_600_000;
/** Lifetime of an Amazon ECR token. */
const LIFETIME_HOURS = 12;
/** The token is renewed every 6 hours. One more hour allows for retries. */
const MAX_RENEWAL_HOURS = 7;

/**
 * Checks the age of the ECR token that RunPod uses to pull images. RunPod does not return the age, so the function that
 * renews the token stores the expiry time in SSM.
 *
 * @param now milliseconds since the epoch
 */
export async function checkRegistryToken(stack: string, aws: Aws, now = Date.now()): Promise<Check> {
  const label = "registry token";
  const names = stackNames(stack);
  const renewal = names.functions.registryRefresh;
  const Name = names.parameters.registryTokenExpiry;
  const todo = `Read the log of ${renewal}, which renews the token every 6 hours. Then invoke it now: aws lambda invoke --function-name ${renewal} /dev/null`;
  let expiresAt: number;
  try {
    const client = new SSMClient(awsClient("ssm", aws));
    const { Parameter } = await client.send(new GetParameterCommand({ Name }));
    expiresAt = Date.parse(Parameter?.Value ?? "");
  } catch (error) {
    if (error instanceof Error && error.name === "ParameterNotFound")
      return failed(label, `it was never renewed: AWS has no parameter ${Name} in this region`, `Run "pulumi up".`);
    throw error;
  }
  if (Number.isNaN(expiresAt)) return failed(label, `the parameter ${Name} does not hold a time`, todo);
  const hours = (expiresAt - now) / HOUR_MS;
  const age = `renewed ${(LIFETIME_HOURS - hours).toFixed(1)} hours ago`;
  if (hours <= 0)
    return failed(label, `it expired ${(-hours).toFixed(1)} hours ago: no new worker can pull an image`, todo);
  if (hours < LIFETIME_HOURS - MAX_RENEWAL_HOURS)
    return warning(label, `${age}, expires in ${hours.toFixed(1)} hours`, todo);
  return ok(label, `${age}, valid for ${hours.toFixed(1)} more hours`);
}
