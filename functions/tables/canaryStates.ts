import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import type { Model } from "../../contract/plan";
import { CanaryState } from "../core/canary/state";
import { raiseAlarm } from "../lib/alarms";
import { causesText } from "../lib/causes";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

/** The state of a candidate that no longer exists is deleted after three months. */
const KEEP_SECONDS = 90 * 86_400;

/** States of the models' candidates. Both methods throw ApiError `unavailable` when the table does not answer. */
export interface CanaryStates {
  /**
   * Undefined when no state is stored. When the stored state is not valid, raises an alarm and returns undefined. The
   * next write replaces such a state.
   */
  read(model: Model): Promise<CanaryState | undefined>;
  write(model: Model, state: CanaryState, now: Date): Promise<void>;
}

/** Stores states in the `ephemeral` table, one item per model. */
export function createCanaryStates(TableName: string): CanaryStates {
  const client = new DynamoDBClient(awsClientLimits);
  const key = (model: Model) => ({ pk: `${ephemeralKeys.canary}${model}` });
  return {
    async read(model) {
      const get = new GetItemCommand({ TableName, Key: marshall(key(model)), ConsistentRead: true });
      const { Item } = await dependency("ephemeral table", client.send(get));
      if (!Item) return undefined;
      const { data, error } = CanaryState.safeParse(unmarshall(Item));
      if (error) raiseAlarm("candidate_unreadable", { model, cause: causesText(error) });
      return data;
    },

    async write(model, state, now) {
      const ttl = Math.floor(now.getTime() / 1000) + KEEP_SECONDS;
      const Item = marshall({ ...state, ...key(model), ttl }, { removeUndefinedValues: true });
      await dependency("ephemeral table", client.send(new PutItemCommand({ TableName, Item })));
    },
  };
}
