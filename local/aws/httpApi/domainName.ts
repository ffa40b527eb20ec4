import { z } from "zod";
import { hostName, refusedCertificate } from "../domains/certificates";
import type { AwsAccount } from "../support/account";
import { type Effects, type ResourceType, randomId } from "../support/resource";
import { text } from "../support/values";
import { HTTP_API } from "./resources";

/** aws:apigatewayv2/domainName:DomainName. The gateway serves it at `<name>.localhost:<port of the API>`. */
export const domainName: ResourceType = {
  type: "aws:apigatewayv2/domainName:DomainName",
  isTaggable: true,
  inputs: z.looseObject({
    domainName: hostName,
    domainNameConfiguration: z.looseObject({
      certificateArn: z.string().startsWith("arn:aws:acm:", "must be the ARN of a certificate"),
      endpointType: z.literal("REGIONAL", "must be REGIONAL for an HTTP API"),
      securityPolicy: z.literal("TLS_1_2", "must be TLS_1_2"),
      ipAddressType: z.enum(["ipv4", "dualstack"]).optional(),
    }),
  }),
  replaceOn: ["domainName"],
  id: (inputs) => text(inputs, "domainName"),
  conflict: "ConflictException: The domain name you provided already exists.",
  computed: {
    arn: ({ id, account }) => `arn:aws:apigateway:${account.region}::/domainnames/${id}`,
    apiMappingSelectionExpression: () => "$request.basepath",
    domainNameConfiguration: ({ id, inputs, account }) => ({
      ...(inputs.domainNameConfiguration as object),
      targetDomainName: `d-${id.replaceAll(".", "").slice(0, 10)}.execute-api.${account.region}.amazonaws.com`,
      hostedZoneId: "Z1YSHQZHG15GKL",
    }),
  },
};

/** Rejects a certificate that API Gateway cannot use. */
export function domainNameEffects(account: AwsAccount): Effects {
  return {
    async create({ outputs, id }) {
      const { certificateArn } = outputs.domainNameConfiguration as Record<string, unknown>;
      const reason = refusedCertificate(account, certificateArn, id, account.region);
      if (reason) throw new Error(`BadRequestException: ${reason}`);
      return undefined;
    },
  };
}

/** aws:apigatewayv2/apiMapping:ApiMapping. */
export const apiMapping: ResourceType = {
  type: HTTP_API.mapping,
  inputs: z.looseObject({
    apiId: z.string(),
    domainName: z.string(),
    stage: z.string(),
    apiMappingKey: z
      .undefined({ error: "must be missing: the local cloud serves an API at the root of a domain name" })
      .optional(),
  }),
  replaceOn: ["domainName"],
  id: () => randomId(6),
  computed: {},
};

/** Rejects a mapping to a name or an API that does not exist. */
export function apiMappingEffects(account: AwsAccount): Effects {
  return {
    async create({ outputs }) {
      if (!account.get(domainName.type, String(outputs.domainName)))
        throw new Error("NotFoundException: Invalid domain name identifier specified");
      if (!account.get(HTTP_API.stage, String(outputs.stage), String(outputs.apiId)))
        throw new Error("BadRequestException: Invalid stage identifier specified");
      return undefined;
    },
  };
}
