import { z } from "zod";
import type { Events } from "../../support/events";
import type { Listening } from "../../support/http";
import { callingRole } from "../iam/callers";
import { JsonProtocolError, serveJsonProtocol } from "../jsonProtocol";
import type { AwsAccount } from "../support/account";
import { findImage } from "./dockerBuild";
import { registryToken } from "./token";

const authorizationInput = z.object({ registryIds: z.array(z.string()).optional() });

const describeImagesInput = z.object({
  registryId: z.string().optional(),
  repositoryName: z.string(),
  imageIds: z.tuple([z.union([z.strictObject({ imageDigest: z.string() }), z.strictObject({ imageTag: z.string() })])]),
});

/** Serves ECR's `GetAuthorizationToken`, and `DescribeImages` for one digest or tag, on a free loopback port. */
export function startEcrApi(account: AwsAccount, events: Events): Promise<Listening> {
  const operations = {
    GetAuthorizationToken(body: unknown, authorization: string) {
      authorizationInput.parse(body);
      const roleArn = callingRole(account, authorization);
      const { authorizationToken, expiresAt, proxyEndpoint } = registryToken(account, roleArn);
      return { authorizationData: [{ authorizationToken, expiresAt: expiresAt.getTime() / 1000, proxyEndpoint }] };
    },
    DescribeImages(body: unknown) {
      const { repositoryName, imageIds } = describeImagesInput.parse(body);
      const found = findImage(account, repositoryName, imageIds[0]);
      if (!found) throw new JsonProtocolError("ImageNotFoundException", JSON.stringify(imageIds[0]));
      const { digest: imageDigest, tags: imageTags } = found;
      return { imageDetails: [{ registryId: account.accountId, repositoryName, imageDigest, imageTags }] };
    },
  };
  const target = "AmazonEC2ContainerRegistry_V20150921";
  const accesses = (operation: string, { repositoryName }: Record<string, unknown>) => {
    const resource = repositoryName === undefined ? "*" : account.arn("ecr", `repository/${repositoryName}`);
    return [{ action: `ecr:${operation}`, resource }];
  };
  return serveJsonProtocol({ name: "ECR", source: "ecr", target, operations, account, accesses }, events);
}
