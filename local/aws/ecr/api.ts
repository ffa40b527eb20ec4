import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Events } from "../../support/events";
import type { Listening } from "../../support/http";
import type { AwsAccount } from "../support/account";
import { JsonProtocolError, serveJsonProtocol } from "../support/jsonProtocol";
import { findImage } from "./dockerBuild";

const TOKEN_HOURS = 12;

/** Credentials of the account's registry, in the shape of ECR. */
interface RegistryToken {
  userName: "AWS";
  password: string;
  /** `<userName>:<password>` in base64. */
  authorizationToken: string;
  expiresAt: Date;
  /** URL of the registry. */
  proxyEndpoint: string;
}

/** Creates a token for the account's registry. ECR tokens expire after twelve hours. */
export function registryToken({ accountId, region }: AwsAccount): RegistryToken {
  const userName = "AWS";
  const password = randomBytes(96).toString("base64");
  return {
    userName,
    password,
    authorizationToken: Buffer.from(`${userName}:${password}`).toString("base64"),
    expiresAt: new Date(Date.now() + TOKEN_HOURS * 3_600_000),
    proxyEndpoint: `https://${accountId}.dkr.ecr.${region}.amazonaws.com`,
  };
}

const authorizationInput = z.object({ registryIds: z.array(z.string()).optional() });

const describeImagesInput = z.object({
  registryId: z.string().optional(),
  repositoryName: z.string(),
  imageIds: z.tuple([z.union([z.strictObject({ imageDigest: z.string() }), z.strictObject({ imageTag: z.string() })])]),
});

/** Serves ECR's `GetAuthorizationToken`, and `DescribeImages` for one digest or tag, on a free loopback port. */
export function startEcrApi(account: AwsAccount, events: Events): Promise<Listening> {
  const operations = {
    GetAuthorizationToken(body: unknown) {
      authorizationInput.parse(body);
      const { authorizationToken, expiresAt, proxyEndpoint } = registryToken(account);
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
  return serveJsonProtocol({ name: "ECR", source: "ecr", target, operations }, events);
}
