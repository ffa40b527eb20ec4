import type { AdminAnswers, AdminRequest } from "../../contract/admin";
import type { ErrorBody } from "../../contract/errors";
import { START_STACK, stackNames } from "../../names";
import type { AwsCloud } from "../aws/cloud";

/**
 * Sends a request to the admin function of the stack of `npm start`, as `npm run admin` does.
 *
 * @throws Error with the function's message when it refuses the request
 */
export async function askAdmin<C extends AdminRequest["command"]>(
  aws: Pick<AwsCloud, "invoke">,
  request: Extract<AdminRequest, { command: C }>,
): Promise<AdminAnswers[C]> {
  const answer = (await aws.invoke(stackNames(START_STACK).functions.admin, request)) as AdminAnswers[C] | ErrorBody;
  if ("error" in answer) throw new Error(answer.error.message);
  return answer;
}
