import type { Hono } from "hono";
import { z } from "zod";
import type { Events } from "../../support/events";
import { isObject } from "../../support/protocol/value";
import { JsonProtocolError, jsonProtocolApp } from "../jsonProtocol";
import type { AwsAccount, AwsResource } from "../support/account";

const GetResourcesInput = z.strictObject({
  TagFilters: z.array(z.strictObject({ Key: z.string().min(1).max(128), Values: z.array(z.string()).max(20) })).max(50),
  ResourcesPerPage: z.int().min(1).max(100).default(50),
  PaginationToken: z.string().optional(),
});

/**
 * The Resource Groups Tagging API: `GetResources` by tags. It lists no resources of IAM, because AWS lists only some
 * types of them.
 */
export function taggingApi(account: AwsAccount, events: Events): Hono {
  const operations = {
    GetResources(body: unknown) {
      const { TagFilters, ResourcesPerPage, PaginationToken = "0" } = GetResourcesInput.parse(body);
      const from = Number(PaginationToken || "0");
      if (!Number.isInteger(from)) throw new JsonProtocolError("PaginationTokenExpiredException", "");
      const found = account.all().filter((resource) => {
        const tags = tagsOf(resource);
        const isListed = typeof resource.outputs.arn === "string" && !resource.type.startsWith("aws:iam/");
        return isListed && TagFilters.every(({ Key, Values }) => Values.some((value) => tags[Key] === value));
      });
      const to = from + ResourcesPerPage;
      return {
        PaginationToken: to < found.length ? String(to) : "",
        ResourceTagMappingList: found.slice(from, to).map((resource) => ({
          ResourceARN: resource.outputs.arn,
          Tags: Object.entries(tagsOf(resource)).map(([Key, Value]) => ({ Key, Value })),
        })),
      };
    },
  };
  const accesses = (operation: string) => [{ action: `tag:${operation}`, resource: "*" }];
  return jsonProtocolApp(
    { source: "aws", target: "ResourceGroupsTaggingAPI_20170126", operations, account, accesses },
    events,
  );
}

function tagsOf({ outputs }: AwsResource): Record<string, unknown> {
  return isObject(outputs.tagsAll) ? outputs.tagsAll : {};
}
