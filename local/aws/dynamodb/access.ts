import { isObject } from "../../support/protocol/value";
import type { Access } from "../iam/policy";
import type { AwsAccount } from "../support/account";
import { table } from "./table";

/** Action of each kind of item in a transaction. IAM has no action for the transaction itself. */
const transactionActions: Record<string, string> = {
  Get: "GetItem",
  Put: "PutItem",
  Update: "UpdateItem",
  Delete: "DeleteItem",
  ConditionCheck: "ConditionCheckItem",
};

/**
 * Returns the permissions that a request to DynamoDB needs. Source:
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html and, for transactions,
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
 *
 * @param target the header `x-amz-target`, `DynamoDB_20120810.<operation>`
 * @param body the request as JSON text
 */
export function accessesOf(account: AwsAccount, target: string, body: string): Access[] {
  const request: Record<string, unknown> = JSON.parse(body);
  const operation = target.split(".").pop() ?? "";
  const { RequestItems, TransactItems } = request;
  if (Array.isArray(TransactItems)) {
    return TransactItems.flatMap((item) =>
      Object.entries(item).map(([kind, one]) => accessOf(account, transactionActions[kind] ?? kind, one)),
    );
  }
  if (isObject(RequestItems)) {
    return Object.entries(RequestItems).map(([TableName, one]) =>
      accessOf(account, operation, { TableName, Items: batchedItems(one) }),
    );
  }
  return [accessOf(account, operation, request)];
}

/** Keys or items of one table in a BatchGetItem or BatchWriteItem. */
function batchedItems(request: unknown): unknown[] {
  if (isObject(request) && Array.isArray(request.Keys)) return request.Keys;
  const writes = Array.isArray(request) ? request : [];
  return writes.map(({ PutRequest, DeleteRequest }) => PutRequest?.Item ?? DeleteRequest?.Key);
}

function accessOf(account: AwsAccount, action: string, request: unknown): Access {
  const { TableName, IndexName, Key, Item, Items = [] } = isObject(request) ? request : {};
  const hashKey = String(account.get(table.type, String(TableName))?.outputs.hashKey);
  const values = [Key, Item, Items]
    .flat()
    .flatMap((item) => (isObject(item) && isObject(item[hashKey]) ? [item[hashKey]] : []));
  const arn = account.arn("dynamodb", `table/${TableName}`);
  return {
    action: `dynamodb:${action}`,
    resource: IndexName === undefined ? arn : `${arn}/index/${IndexName}`,
    context: { "dynamodb:LeadingKeys": values.flatMap((value) => Object.values(value).map(String)) },
  };
}
