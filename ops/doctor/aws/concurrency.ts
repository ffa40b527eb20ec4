import { GetAccountSettingsCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";

/** Concurrent executions that AWS keeps for functions without a reservation. */
const UNRESERVED = 100;

/**
 * Checks that the account allows enough concurrent executions of Lambda. New accounts start with a limit of 10. A few
 * guests then use up the limit, and every other request fails.
 *
 * @param reserved `relay.concurrency` of the configuration; -1 reserves nothing
 */
export async function checkConcurrency(reserved: number, aws: Aws): Promise<Check> {
  const client = new LambdaClient(awsClient("lambda", aws));
  const { AccountLimit } = await client.send(new GetAccountSettingsCommand({}));
  return judgeConcurrency(AccountLimit?.ConcurrentExecutions ?? 0, reserved);
}

/**
 * Compares the account's limit of concurrent executions with the configuration.
 *
 * @param reserved as for `checkConcurrency`
 */
export function judgeConcurrency(limit: number, reserved: number): Check {
  const label = "Lambda concurrency";
  const needed = UNRESERVED + Math.max(reserved, 0);
  const seen = `${limit} executions at the same time for the whole account`;
  if (limit >= needed) return ok(label, seen);
  const ask = `Ask AWS for at least ${needed} in the console: Service Quotas, AWS Lambda, "Concurrent executions".`;
  if (reserved < 0) return warning(label, `${seen}: a few guests or chats block all other requests`, ask);
  const problem = `${seen}, but relay.concurrency ${reserved} needs ${needed}: AWS refuses the reservation`;
  return failed(label, problem, `${ask} Until then set relay.concurrency to -1.`);
}
