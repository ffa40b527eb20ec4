import type { Hono } from "hono";
import { z } from "zod";
import type { Events } from "../../support/events";
import { parseLine } from "../cloudwatch/cloudwatch";
import { parsePattern } from "../cloudwatch/filterPattern";
import { logGroup } from "../cloudwatch/resources";
import { JsonProtocolError, jsonProtocolApp } from "../jsonProtocol";
import type { AwsAccount } from "../support/account";
import type { Monitored } from "./monitoring";

const FilterLogEventsInput = z.strictObject({
  logGroupName: z.string().min(1).max(512),
  filterPattern: z.string().max(1_024),
  startTime: z.int().min(0),
  endTime: z.int().min(0),
  limit: z.int().min(1).max(10_000).default(10_000),
  nextToken: z.string().regex(/^\d+$/).optional(),
});

/** CloudWatch Logs' API: `FilterLogEvents`, the oldest line first. */
export function logsApi(account: AwsAccount, cloudwatch: Monitored, events: Events): Hono {
  const operations = {
    FilterLogEvents(body: unknown) {
      const { logGroupName, filterPattern, startTime, endTime, limit, nextToken } = FilterLogEventsInput.parse(body);
      if (!account.get(logGroup.type, logGroupName))
        throw new JsonProtocolError("ResourceNotFoundException", "The specified log group does not exist.");
      const passes = parsePattern(filterPattern);
      const found = cloudwatch
        .linesOf(logGroupName)
        .filter(({ atMs, text }) => atMs >= startTime && atMs <= endTime && passes(parseLine(text)));
      // AWS may return a first page without lines, so the local cloud always does.
      if (nextToken === undefined && found.length > 0) return { events: [], nextToken: "0", searchedLogStreams: [] };
      const start = Number(nextToken ?? 0);
      const end = start + limit;
      return {
        ...(end < found.length && { nextToken: String(end) }),
        events: found.slice(start, end).map(({ atMs, text }) => ({ timestamp: atMs, message: text })),
        searchedLogStreams: [],
      };
    },
  };
  const accesses = (operation: string) => [{ action: `logs:${operation}`, resource: "*" }];
  return jsonProtocolApp({ source: "aws", target: "Logs_20140328", operations, account, accesses }, events);
}
