import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../../../names";
import { isObject } from "../../support/protocol/value";
import type { AwsAccount } from "../support/account";
import { genericResource } from "./genericResource";
import type { Access } from "./policy";
import { role } from "./resources";

/**
 * Environment variable with a folder. Every process with a local cloud writes to this folder which permissions the
 * program's roles have used. Without the variable, nothing is recorded.
 */
export const CALLS_FOLDER = "AWS_CALLS_FOLDER";

/** A permission that a role has used or that a role's request needed. */
export interface RecordedCall {
  /** Logical name of the role. It is also the name of the function that has the role. */
  role: string;
  action: string;
  /** The resource in the form of `genericResource`. */
  resource: string;
  /** Kinds of the DynamoDB items, if the request names items: their partition keys up to the last `#`. */
  keys?: string[];
}

const written = new Set<string>();

/** Records an access of a role of the program. Ignores all other roles, such as the roles of a test. */
export function recordCall(account: AwsAccount, roleArn: string, access: Access): void {
  const folder = process.env[CALLS_FOLDER];
  if (!folder) return;
  const outputs = account.list(role.type).find((each) => each.outputs.arn === roleArn)?.outputs;
  const tags = isObject(outputs?.tagsAll) ? outputs.tagsAll : {};
  if (tags.project !== PROJECT) return;
  const place = { stack: String(tags.stack), region: account.region };
  const keys = new Set(access.context?.["dynamodb:LeadingKeys"]?.map(kindOf));
  const call: RecordedCall = {
    role: genericResource(roleArn, place).replace("role/", ""),
    action: access.action,
    resource: genericResource(access.resource, place),
    ...(keys.size > 0 && { keys: [...keys].sort() }),
  };
  append(folder, JSON.stringify(call));
}

/**
 * Reads the records of all processes.
 *
 * @throws Error when the folder has no record
 */
export function readCalls(folder: string): RecordedCall[] {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  const lines = files.flatMap((file) => readFileSync(join(folder, file), "utf8").trim().split("\n"));
  if (lines.length === 0) throw new Error(`${folder} has no record: run the tests with ${CALLS_FOLDER}=${folder}`);
  return [...new Set(lines)].map((line) => JSON.parse(line) as RecordedCall);
}

/**
 * Returns the prefix of a key that tells the kind of the item: `rate#guest#` of `rate#guest#1`. Empty for a key that is
 * only an id.
 */
function kindOf(key: string): string {
  return key.slice(0, key.lastIndexOf("#") + 1);
}

function append(folder: string, line: string): void {
  const key = `${folder}\n${line}`;
  if (written.has(key)) return;
  written.add(key);
  mkdirSync(folder, { recursive: true });
  appendFileSync(join(folder, `${process.pid}.jsonl`), `${line}\n`);
}
