import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import * as status from "@pulumi/pulumi/proto/status_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { exitOnTerminate } from "../../local/support/childProcess";
import type { Properties } from "./program";

interface Diff {
  changes: boolean;
  replaces: string[];
  /** Absent when false. */
  deleteBeforeReplace?: true;
}

/** A resource that exists but is not ready. The Pulumi engine stores such a resource in the state. */
export interface Unfinished {
  id: string;
  properties: Properties;
  reasons: string[];
}

/**
 * Reads the unfinished resource from an error of create or update. Returns undefined if the error contains no resource.
 */
export function unfinished(error: unknown): Unfinished | undefined {
  const [details] = (error as ServiceError).metadata?.get("grpc-status-details-bin") ?? [];
  if (!Buffer.isBuffer(details)) return undefined;
  const [detail] = status.Status.deserializeBinary(details).getDetailsList();
  const failure = detail?.unpack(pb.ErrorResourceInitFailed.deserializeBinary, "pulumirpc.ErrorResourceInitFailed");
  if (!failure) return undefined;
  return { id: failure.getId(), properties: plain(failure.getProperties()), reasons: failure.getReasonsList() };
}

/** Calls the provider of one resource in the same way as Pulumi's engine. */
export interface Resource {
  check(news: Properties, olds?: Properties): Promise<{ inputs: Properties; failures: pb.CheckFailure.AsObject[] }>;
  diff(id: string, olds: Properties, news: Properties): Promise<Diff>;
  create(inputs: Properties): Promise<{ id: string; outs: Properties }>;
  read(id: string, state: Properties): Promise<{ id: string; outs: Properties; inputs: Properties }>;
  update(id: string, olds: Properties, news: Properties): Promise<Properties>;
  delete(id: string, state: Properties): Promise<void>;
}

/** A running server for dynamic providers. */
export interface Engine {
  resource(type: string): Resource;
  /** Returns everything that the server process has written to stdout and stderr. */
  output(): string;
  close(): Promise<void>;
}

/**
 * Starts Pulumi's server for dynamic providers (from @pulumi/pulumi) and configures it with the same call as the
 * engine.
 *
 * @param cwd the program's folder
 * @param config stack configuration; the keys have no project prefix
 */
export async function startEngine(cwd: string, config: Record<string, string>): Promise<Engine> {
  const server = require.resolve("@pulumi/pulumi/cmd/dynamic-provider/index.js");
  const child = spawn(process.execPath, [exitOnTerminate, server, "127.0.0.1:1"], {
    cwd,
    env: { ...process.env, PULUMI_NODEJS_PROJECT: "snack-misaki" },
  });
  let output = "";
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  const port = await firstLine(child);
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const client = new ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure());

  const configuration = new pb.ConfigureRequest();
  configuration.setArgs(
    struct(Object.fromEntries(Object.entries(config).map(([key, value]) => [`snack-misaki:${key}`, value]))),
  );
  await call<pb.ConfigureResponse>((done) => client.configure(configuration, done));

  return {
    output: () => output,
    resource: (type) => resourceClient(client, `urn:pulumi:dev::snack-misaki::${type}::worker`),
    async close() {
      client.close();
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}

function resourceClient(client: ResourceProviderClient, urn: string): Resource {
  return {
    async check(news, olds = {}) {
      const request = new pb.CheckRequest();
      request.setUrn(urn);
      request.setOlds(struct(olds));
      request.setNews(struct(news));
      const response = await call<pb.CheckResponse>((done) => client.check(request, done));
      const failures = response.getFailuresList().map((failure) => failure.toObject());
      return { inputs: plain(response.getInputs()), failures };
    },
    async diff(id, olds, news) {
      const request = new pb.DiffRequest();
      request.setId(id);
      request.setUrn(urn);
      request.setOlds(struct(olds));
      request.setNews(struct(news));
      const response = await call<pb.DiffResponse>((done) => client.diff(request, done));
      const changes = response.getChanges() === pb.DiffResponse.DiffChanges.DIFF_SOME;
      const deletesFirst = response.getDeletebeforereplace() && { deleteBeforeReplace: true as const };
      return { changes, replaces: response.getReplacesList(), ...deletesFirst };
    },
    async create(inputs) {
      const request = new pb.CreateRequest();
      request.setUrn(urn);
      request.setProperties(struct(inputs));
      const response = await call<pb.CreateResponse>((done) => client.create(request, done));
      return { id: response.getId(), outs: plain(response.getProperties()) };
    },
    async read(id, state) {
      const request = new pb.ReadRequest();
      request.setId(id);
      request.setUrn(urn);
      request.setProperties(struct(state));
      const response = await call<pb.ReadResponse>((done) => client.read(request, done));
      return { id: response.getId(), outs: plain(response.getProperties()), inputs: plain(response.getInputs()) };
    },
    async update(id, olds, news) {
      const request = new pb.UpdateRequest();
      request.setId(id);
      request.setUrn(urn);
      request.setOlds(struct(olds));
      request.setNews(struct(news));
      return plain((await call<pb.UpdateResponse>((done) => client.update(request, done))).getProperties());
    },
    async delete(id, state) {
      const request = new pb.DeleteRequest();
      request.setId(id);
      request.setUrn(urn);
      request.setProperties(struct(state));
      await call((done) => client.delete(request, done));
    },
  };
}

/** Converts a callback method of the generated client to a promise. */
function call<T>(invoke: (done: (error: ServiceError | null, response: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    invoke((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

function firstLine(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (chunk) => resolve(Number.parseInt(String(chunk), 10)));
    child.once("exit", (code) => reject(new Error(`The server for dynamic providers ended with exit code ${code}.`)));
  });
}

function struct(properties: Properties): Struct {
  return Struct.fromJavaScript(properties as Record<string, JavaScriptValue>);
}

function plain(properties: Struct | undefined): Properties {
  return properties?.toJavaScript() ?? {};
}
