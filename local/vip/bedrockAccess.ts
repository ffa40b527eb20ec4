import type { RequestListener, Server } from "node:http";
import { destinationRegions, parseInferenceProfile } from "../../functions/core/relay/inferenceProfile";
import { denial } from "../aws/iam/callers";
import type { Access } from "../aws/iam/policy";
import type { AwsAccount } from "../aws/support/account";
import { signatureScope } from "../aws/support/signature";

/**
 * Action of each operation. Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
 * and the pages of the other operations.
 */
const actions: Record<string, string> = {
  converse: "bedrock:InvokeModel",
  invoke: "bedrock:InvokeModel",
  "converse-stream": "bedrock:InvokeModelWithResponseStream",
  "invoke-with-response-stream": "bedrock:InvokeModelWithResponseStream",
};

/**
 * Makes the Bedrock server refuse a role's request unless the role's policies allow the request.
 *
 * @param account returns the account of the roles
 */
export function restrictToRoles(server: Server, account: () => AwsAccount): void {
  const listeners = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    const { authorization } = request.headers;
    const reason = denial(account(), authorization, () => accessesOf(account(), request.url ?? "", authorization));
    if (reason === undefined) {
      for (const listener of listeners) listener(request, response);
      return;
    }
    request.resume();
    response
      .writeHead(403, { "content-type": "application/json", "x-amzn-errortype": "AccessDeniedException" })
      .end(JSON.stringify({ message: reason }));
  });
}

/**
 * Permissions for a request with an inference profile: the profile, and the foundation model in several Regions. These
 * are the Region of the request and each Region to which the profile may route the request. AWS checks only the Region
 * that it selects.
 */
function accessesOf(account: AwsAccount, url: string, authorization = ""): Access[] {
  const [, encoded = "", operation = ""] = /^\/model\/([^/]+)\/([\w-]+)/.exec(url) ?? [];
  const action = actions[operation] ?? `bedrock:${operation}`;
  const model = decodeURIComponent(encoded);
  const region = signatureScope(authorization)?.region ?? account.region;
  const profile = parseInferenceProfile(model);
  const arn = (own: string, accountId: string, resource: string) => `arn:aws:bedrock:${own}:${accountId}:${resource}`;
  if (!profile) return [{ action, resource: arn(region, "", `foundation-model/${model}`) }];
  const profileArn = model.startsWith("arn:") ? model : arn(region, account.accountId, `inference-profile/${model}`);
  const models = [region, ...destinationRegions[profile.geography]].map((each) => ({
    action,
    resource: arn(each, "", `foundation-model/${profile.foundationModel}`),
    context: { "bedrock:InferenceProfileArn": [profileArn] },
  }));
  return [{ action, resource: profileArn }, ...models];
}
