import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DeleteFunctionConcurrencyCommand,
  InvokeCommand,
  LambdaClient,
  PutFunctionConcurrencyCommand,
} from "@aws-sdk/client-lambda";
import type { FunctionName } from "../../infra/bundle";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import { type ResourceState, StackState } from "../../local/pulumi/state";
import type { StackConfig } from "../../local/support/stackConfig";
import { START_STACK, stackNames } from "../../names";
import type { SoakCloud } from "./cloud";

/** The stack's functions and tables, over AWS's APIs. */
export class Stack {
  /** Client of the tables. */
  readonly dynamodb: DynamoDBClient;
  /** Name of the table with events, counters and locks. */
  readonly ephemeralTable: string;
  private readonly lambda: LambdaClient;
  private readonly resources: readonly ResourceState[];

  constructor({ started, dir }: Pick<SoakCloud, "started" | "dir">, { values }: StackConfig) {
    const { aws } = started.doubles;
    const client = { region: values["aws:region"] ?? "", credentials: localCredentials };
    this.dynamodb = new DynamoDBClient({ ...client, endpoint: aws.dynamodb });
    this.lambda = new LambdaClient({ ...client, endpoint: aws.lambda });
    this.resources = new StackState(join(dir, "stack.json"), false).all;
    this.ephemeralTable = this.nameOf("aws:dynamodb/table:Table", ({ hashKey }) => hashKey === "pk");
  }

  /** Runs a function without an event. A failure of the function is not an error. */
  async invoke(name: FunctionName): Promise<void> {
    await this.lambda.send(new InvokeCommand({ FunctionName: this.function(name) }));
  }

  /** Makes Lambda refuse all executions of a function, or removes this limit. */
  async throttle(name: FunctionName, isOn: boolean): Promise<void> {
    const FunctionName = this.function(name);
    if (isOn)
      await this.lambda.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }));
    else await this.lambda.send(new DeleteFunctionConcurrencyCommand({ FunctionName }));
  }

  close(): void {
    this.dynamodb.destroy();
    this.lambda.destroy();
  }

  private function(name: FunctionName): string {
    const begin = `${stackNames(START_STACK).prefix}-${name}`;
    return this.nameOf("aws:lambda/function:Function", (outputs) => String(outputs.name).startsWith(begin));
  }

  private nameOf(type: string, isWanted: (outputs: Record<string, unknown>) => boolean): string {
    const found = this.resources.find((resource) => resource.type === type && isWanted(resource.outputs));
    if (!found) throw new Error(`The stack has no such ${type}`);
    return String(found.outputs.name);
  }
}
