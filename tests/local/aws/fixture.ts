import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as provider from "@pulumi/pulumi/proto/provider_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { type AwsCloud, type AwsOptions, startAws } from "../../../local/aws/cloud";
import { SimulatedTimers } from "../../../local/aws/support/timers";
import { type CloudEvent, Events } from "../../../local/support/events";

type Properties = Record<string, unknown>;

/** A resource in the state of the Pulumi engine. */
interface State {
  type: string;
  name: string;
  id: string;
  inputs: Properties;
  outputs: Properties;
}

/**
 * Calls a provider over gRPC as the Pulumi engine does: calls check before each step, and sends the old state with each
 * step.
 */
export class Engine {
  readonly client: ResourceProviderClient;

  constructor(port: number) {
    this.client = new ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  close(): void {
    this.client.close();
  }

  /** Calls any method of the provider with the given request message. */
  call<Request, Response>(
    method: (request: Request, callback: (error: Error | null, response: Response) => void) => unknown,
    request: Request,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      method.call(this.client, request, (error, response) => (error === null ? resolve(response) : reject(error)));
    });
  }

  async check(type: string, name: string, news: Properties, olds: Properties = {}) {
    const request = new provider.CheckRequest();
    request.setUrn(urn(type, name));
    request.setOlds(struct(olds));
    request.setNews(struct(news));
    const response = await this.call<provider.CheckRequest, provider.CheckResponse>(this.client.check, request);
    const failures = response
      .getFailuresList()
      .map((one) => ({ property: one.getProperty(), reason: one.getReason() }));
    return { inputs: read(response.getInputs()), failures };
  }

  async create(type: string, name: string, news: Properties, preview = false): Promise<State> {
    const { inputs, failures } = await this.check(type, name, news);
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    const request = new provider.CreateRequest();
    request.setUrn(urn(type, name));
    request.setProperties(struct(inputs));
    request.setPreview(preview);
    const response = await this.call<provider.CreateRequest, provider.CreateResponse>(this.client.create, request);
    return { type, name, id: response.getId(), inputs, outputs: read(response.getProperties()) };
  }

  async diff(state: State, news: Properties, ignoreChanges: string[] = []) {
    const { inputs } = await this.check(state.type, state.name, news, state.inputs);
    const request = new provider.DiffRequest();
    request.setId(state.id);
    request.setUrn(urn(state.type, state.name));
    request.setOlds(struct(state.outputs));
    request.setOldInputs(struct(state.inputs));
    request.setNews(struct(inputs));
    request.setIgnorechangesList(ignoreChanges);
    const response = await this.call<provider.DiffRequest, provider.DiffResponse>(this.client.diff, request);
    const detailed: Record<string, provider.PropertyDiff.Kind> = {};
    response.getDetaileddiffMap().forEach((detail, path) => {
      detailed[path] = detail.getKind();
    });
    return {
      some: response.getChanges() === provider.DiffResponse.DiffChanges.DIFF_SOME,
      diffs: response.getDiffsList(),
      replaces: response.getReplacesList(),
      deleteBeforeReplace: response.getDeletebeforereplace(),
      detailed,
    };
  }

  async update(state: State, news: Properties, preview = false): Promise<State> {
    const { inputs, failures } = await this.check(state.type, state.name, news, state.inputs);
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    const request = new provider.UpdateRequest();
    request.setId(state.id);
    request.setUrn(urn(state.type, state.name));
    request.setOlds(struct(state.outputs));
    request.setOldInputs(struct(state.inputs));
    request.setNews(struct(inputs));
    request.setPreview(preview);
    const response = await this.call<provider.UpdateRequest, provider.UpdateResponse>(this.client.update, request);
    return { ...state, inputs, outputs: read(response.getProperties()) };
  }

  async delete(state: State): Promise<void> {
    const request = new provider.DeleteRequest();
    request.setId(state.id);
    request.setUrn(urn(state.type, state.name));
    request.setProperties(struct(state.outputs));
    await this.call(this.client.delete, request);
  }

  async read(type: string, name: string, id: string, state?: State) {
    const request = new provider.ReadRequest();
    request.setId(id);
    request.setUrn(urn(type, name));
    request.setProperties(struct(state?.outputs ?? {}));
    request.setInputs(struct(state?.inputs ?? {}));
    const response = await this.call<provider.ReadRequest, provider.ReadResponse>(this.client.read, request);
    return { id: response.getId(), outputs: read(response.getProperties()), inputs: read(response.getInputs()) };
  }

  async invoke(token: string, args: Properties = {}): Promise<Properties> {
    const request = new provider.InvokeRequest();
    request.setTok(token);
    request.setArgs(struct(args));
    const response = await this.call<provider.InvokeRequest, provider.InvokeResponse>(this.client.invoke, request);
    return read(response.getReturn());
  }
}

const urn = (type: string, name: string) => `urn:pulumi:test::snack::snack:parent:Thing$${type}::${name}`;

export function struct(values: Properties): Struct {
  return Struct.fromJavaScript(values as Record<string, JavaScriptValue>);
}

export function read(values: Struct | undefined): Properties {
  return values?.toJavaScript() ?? {};
}

const SIGNATURE = "4dabf18193072939515e22adb298388d";
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export const secret = (value: unknown) => ({ [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", value });
export const asset = (content: Properties) => ({ [SIGNATURE]: "c44067f5952c0a294b673a41bacd8c17", ...content });
export const archive = (content: Properties) => ({ [SIGNATURE]: "0def7320c3a5731c473e5ecbe6d01bc7", ...content });

/** An archive with one file, like the archive that Pulumi creates for an inline function. */
export const code = (handler: string) => archive({ assets: { "__index.js": asset({ text: handler }) } });

/** Timers that run only when the test advances the time. */
export class ManualTimers extends SimulatedTimers {
  /** Remaining delays of all waiting timers, in milliseconds, shortest first. */
  get delaysMs(): number[] {
    return [...this.pending].map(({ atMs }) => atMs - this.now()).sort((a, b) => a - b);
  }
}

/** The next event with a matching summary. Ignores earlier events. */
export function nextEvent(events: Events, line: RegExp): Promise<CloudEvent> {
  return new Promise((resolve) => {
    let isPast = true;
    const stop = events.subscribe((event) => {
      if (isPast || !line.test(event.summary)) return;
      stop();
      resolve(event);
    });
    isPast = false;
  });
}

/** Starts a local AWS in a temporary folder. Connects a test engine to the local AWS's Pulumi provider. */
export async function startTestCloud(options: Partial<AwsOptions> = {}) {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "snack-aws-")));
  const events = options.events ?? new Events();
  const aws: AwsCloud = await startAws({
    dir,
    region: "us-east-1",
    events,
    apiPorts: "free",
    urlPorts: "free",
    lambdaPort: 0,
    jwks: () => undefined,
    programDir: dir,
    extraEnv: () => ({}),
    ...options,
  });
  const engine = new Engine(aws.providerPort);
  const stop = async () => {
    engine.close();
    await aws.close();
  };
  return {
    aws,
    engine,
    dir,
    events,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
