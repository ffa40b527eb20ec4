import type { ServerResponse } from "node:http";
import { z } from "zod";
import { isObject } from "../../support/protocol/value";
import type { AwsAccount } from "../support/account";
import { table } from "./table";

const JSON_1_0 = { "content-type": "application/x-amz-json-1.0" };
const DescribeContinuousBackupsInput = z.strictObject({ TableName: z.string().min(1) });

/** Answers DescribeContinuousBackups, which dynalite does not have, with the settings of the account's table. */
export function continuousBackups(account: AwsAccount, body: string, response: ServerResponse): void {
  const send = (status: number, answer: object) => response.writeHead(status, JSON_1_0).end(JSON.stringify(answer));
  const refuse = (type: string, message: string) =>
    send(400, { __type: `com.amazonaws.dynamodb.v20120810#${type}`, message });
  const input = DescribeContinuousBackupsInput.safeParse(JSON.parse(body));
  if (!input.success) return void refuse("ValidationException", z.prettifyError(input.error));
  const found = account.get(table.type, input.data.TableName);
  if (!found) return void refuse("TableNotFoundException", `Table not found: ${input.data.TableName}`);
  const { pointInTimeRecovery } = found.outputs;
  const isOn = isObject(pointInTimeRecovery) && pointInTimeRecovery.enabled === true;
  send(200, {
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: "ENABLED",
      PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: isOn ? "ENABLED" : "DISABLED" },
    },
  });
}

/** Adds the deletion protection to dynalite's answer of DescribeTable, because dynalite does not have this setting. */
export function addTableSettings(account: AwsAccount, response: ServerResponse): void {
  const end = response.end.bind(response);
  response.end = ((body: unknown) => {
    const answer: unknown = JSON.parse(String(body));
    if (!isObject(answer) || !isObject(answer.Table)) return end(body);
    const { deletionProtectionEnabled } = account.get(table.type, String(answer.Table.TableName))?.outputs ?? {};
    const Table = { ...answer.Table, DeletionProtectionEnabled: deletionProtectionEnabled === true };
    const text = JSON.stringify({ Table });
    response.removeHeader("x-amz-crc32");
    response.setHeader("content-length", Buffer.byteLength(text));
    return end(text);
  }) as typeof response.end;
}
