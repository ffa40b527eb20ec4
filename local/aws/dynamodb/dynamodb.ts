import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import type { Store } from "dynalite/db/index.js";
import * as z from "zod";
import type { Events } from "../../support/events";
import { type Listening, loopbackOnly, replay } from "../../support/http";
import { answerSwitches, SWITCHES_PATH } from "../../support/switchesApi";
import { callingRole, refusal } from "../iam/callers";
import type { AwsAccount, AwsResource } from "../support/account";
import type { Effects } from "../support/resource";
import { accessesOf } from "./access";
import { addTableSettings, continuousBackups } from "./description";
import { changeTable, openDynalite } from "./indexes";
import { changeableSettings, keys, tableInputs } from "./table";

/** Faults that can be switched on at any time. */
const Switches = z.strictObject({
  /** Share of the functions' requests that are throttled, from 0 to 1. Other callers are never throttled. */
  throttledShare: z.number().min(0).max(1),
});
type Switches = z.output<typeof Switches>;

/** The running local DynamoDB. It serves all tables at one endpoint and stores them in a folder. */
export interface Dynamodb extends Listening {
  effects: Effects;
}

/**
 * Starts DynamoDB on a free loopback port and keeps its tables below `path`. Other processes read and change the
 * switches at `/admin/switches`, which AWS does not have.
 *
 * @param account when given, a request with a role's credentials is refused unless the role's policies allow it
 */
export async function startDynamodb(
  path: string,
  region: string,
  events: Events,
  account?: AwsAccount,
): Promise<Dynamodb> {
  const { server, store } = openDynalite({ path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  const switches: Switches = { throttledShare: 0 };
  guard(server, account, switches);
  const pending = new Set<ServerResponse>();
  server.on("request", (request, response) => {
    track(request, response, pending);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("finish", () => {
      if (request.url === SWITCHES_PATH) return;
      const operation = String(request.headers["x-amz-target"]).split(".").pop();
      events.emit({ source: "dynamodb", summary: `${operation} ${tableName(chunks)} → ${response.statusCode}` });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://localhost:${port}`;
  const client = new DynamoDBClient({
    endpoint: url,
    region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    requestHandler: { connectionTimeout: 2_000, requestTimeout: 10_000 },
  });
  return {
    url,
    port,
    effects: tableEffects(client, store, events),
    async close() {
      client.destroy();
      await closeServer(server, pending);
    },
  };
}

/**
 * Puts two checks before dynalite. Web pages cannot read the tables: requests with a foreign `Host` are refused, and
 * responses have no CORS headers. A caller with a role's credentials can do only what the role's policies allow.
 */
function guard(server: Server, account: AwsAccount | undefined, switches: Switches): void {
  const listeners = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  const dynalite: RequestListener = (request, response) => {
    for (const listener of listeners) listener(request, response);
  };
  const answer: RequestListener = (request, response) => {
    // Without an origin, dynalite sends no CORS headers.
    delete request.headers.origin;
    if (request.url === SWITCHES_PATH) return void changeSwitches(request, response).catch(() => response.destroy());
    if (account && request.headers["x-amz-target"] === "DynamoDB_20120810.DescribeTable")
      addTableSettings(account, response);
    const role = account && callingRole(account, request.headers.authorization);
    if (account && !role && request.headers["x-amz-target"] === "DynamoDB_20120810.DescribeContinuousBackups") {
      text(request).then(
        (body) => continuousBackups(account, body, response),
        () => response.destroy(),
      );
      return;
    }
    if (!role) return dynalite(request, response);
    const check = async () => {
      const body = await text(request);
      const reason = refusal(account, role, accessesOf(account, String(request.headers["x-amz-target"]), body));
      if (reason !== undefined)
        return refuse(response, { __type: "com.amazon.coral.service#AccessDeniedException", Message: reason });
      if (Math.random() < switches.throttledShare) return refuse(response, throttled);
      return dynalite(replay(request, body), response);
    };
    check().catch(() => response.destroy());
  };
  const changeSwitches = async (request: IncomingMessage, response: ServerResponse) => {
    const change = { method: request.method ?? "", body: await text(request) };
    const { status, body } = answerSwitches(Switches, switches, change);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  server.on("request", loopbackOnly(answer));
}

/** Error of an on-demand table above its throughput. The SDK sends the request again. */
const throttled = {
  __type: "com.amazon.coral.availability#ThrottlingException",
  message:
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or index so please try again shortly.",
};

function refuse(response: ServerResponse, error: object): void {
  response.writeHead(400, { "content-type": "application/x-amz-json-1.0" }).end(JSON.stringify(error));
}

function tableEffects(client: DynamoDBClient, store: Store, events: Events): Effects {
  const wait = { client, maxWaitTime: 10, minDelay: 1, maxDelay: 1 };
  return {
    async create({ id, outputs }) {
      const inputs = tableInputs.parse(outputs);
      await client.send(
        new CreateTableCommand({
          TableName: id,
          KeySchema: keys(inputs.hashKey, inputs.rangeKey),
          BillingMode: inputs.billingMode,
          ...changeableSettings(inputs),
        }),
      );
      await waitUntilTableExists(wait, { TableName: id });
      return undefined;
    },
    async update({ id, outputs }) {
      const { added, removed } = await changeTable(store, id, changeableSettings(tableInputs.parse(outputs)));
      const changed = [...removed.map((name) => `-${name}`), ...added.map((name) => `+${name}`)];
      if (changed.length > 0) events.emit({ source: "dynamodb", summary: `UpdateTable ${id} ${changed.join(" ")}` });
      return undefined;
    },
    async delete(resource: AwsResource) {
      if (resource.outputs.deletionProtectionEnabled === true) {
        throw new Error(
          "ValidationException: Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        );
      }
      try {
        await client.send(new DeleteTableCommand({ TableName: resource.id }));
      } catch (error) {
        if (error instanceof Error && error.name === "ResourceNotFoundException") return;
        throw error;
      }
      await waitUntilTableNotExists(wait, { TableName: resource.id });
    },
  };
}

function tableName(chunks: Buffer[]): string {
  try {
    return JSON.parse(Buffer.concat(chunks).toString()).TableName ?? "";
  } catch {
    return "";
  }
}

/** Time that pending requests get to finish before the server closes. */
const LAST_REQUESTS_MS = 5_000;

/** Keeps a request in `pending` until dynalite has responded: dynalite continues even after the client disconnects. */
function track(request: IncomingMessage, response: ServerResponse, pending: Set<ServerResponse>): void {
  pending.add(response);
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  response.end = (...args: unknown[]) => {
    pending.delete(response);
    return end(...args);
  };
  // dynalite does not process a request whose body is incomplete.
  request.once("close", () => request.complete || pending.delete(response));
}

/**
 * Waits for the pending requests, then closes all connections and the server. This order matters: dynalite closes its
 * database with the last open connection, and a request that still uses the database would throw an uncaught error.
 * This function must close the connections, because clients keep them alive.
 */
async function closeServer(server: Server, pending: Set<ServerResponse>): Promise<void> {
  const until = Date.now() + LAST_REQUESTS_MS;
  while (pending.size > 0 && Date.now() < until) await sleep(5);
  await new Promise<void>((resolve, reject) => {
    server.close((error) => (error === undefined || error === null ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}
