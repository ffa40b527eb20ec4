import { isObject } from "../../support/protocol/value";
import { permits } from "../iam/policy";
import type { AwsAccount } from "../support/account";
import { table } from "./table";

/** A part of a request: an action on one table or index. */
interface Access {
  resource: string;
  /** Partition keys of the items. Empty when the request names no item. */
  leadingKeys: string[];
}

/**
 * Checks a request to DynamoDB against the policies of the calling role.
 *
 * @param target the header `x-amz-target`, `DynamoDB_20120810.<operation>`
 * @param body the request as JSON text
 * @returns the text of AWS's AccessDeniedException; undefined when the policies allow the request
 */
export function denial(account: AwsAccount, roleArn: string, target: string, body: string): string | undefined {
  const action = `dynamodb:${target.split(".").pop()}`;
  const refused = accessesOf(account, JSON.parse(body)).find(
    ({ resource, leadingKeys }) =>
      !permits(account, roleArn, { action, resource, context: { "dynamodb:LeadingKeys": leadingKeys } }),
  );
  return refused && `User: ${roleArn} is not authorized to perform: ${action} on resource: ${refused.resource}`;
}

function accessesOf(account: AwsAccount, body: Record<string, unknown>): Access[] {
  const { TableName, IndexName, Key, Item, RequestItems } = body;
  if (isObject(RequestItems)) {
    return Object.entries(RequestItems).map(([name, request]) =>
      accessOf(account, name, isObject(request) && Array.isArray(request.Keys) ? request.Keys : []),
    );
  }
  const access = accessOf(account, String(TableName), [Key, Item]);
  return [IndexName === undefined ? access : { ...access, resource: `${access.resource}/index/${IndexName}` }];
}

function accessOf(account: AwsAccount, tableName: string, items: unknown[]): Access {
  const hashKey = String(account.get(table.type, tableName)?.outputs.hashKey);
  const values = items.flatMap((item) => (isObject(item) && isObject(item[hashKey]) ? [item[hashKey]] : []));
  const leadingKeys = values.flatMap((value) => Object.values(value).map(String));
  return { resource: account.arn("dynamodb", `table/${tableName}`), leadingKeys };
}
