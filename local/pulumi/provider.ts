import { credentials, type Metadata, type ServiceError } from "@grpc/grpc-js";
import plugins from "@pulumi/pulumi/proto/plugin_pb";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb";
import messages from "@pulumi/pulumi/proto/provider_pb";
import statusMessages from "@pulumi/pulumi/proto/status_pb";
import structs from "google-protobuf/google/protobuf/struct_pb";
import { reasonOf, unlimited } from "../support/protocol/grpc";
import { dereference, mapValues, type Properties, reveal, type Value } from "../support/protocol/value";
import { EngineError } from "./error";
import { nameOf, typeOf } from "./urn";
import { restoreSecrets } from "./value";

const queryTimeoutMs = 60_000;
// The limit is long, because a provider may build an image within one `create` call.
const changeTimeoutMs = 30 * 60_000;

/** Difference between two states of a resource, from its provider. */
export interface Diff {
  /** Undefined when the provider returns no answer. The engine then compares the inputs. */
  changes: boolean | undefined;
  /** Paths of changed properties. The list may be empty even when `changes` is true. */
  changed: string[];
  /** Paths of changes that need a replacement. */
  replaces: string[];
  deleteBeforeReplace: boolean;
}

/** A resource that a provider created, updated or read. */
export interface Live {
  id: string;
  outputs: Properties;
  /** Undefined when the provider does not return inputs. */
  inputs?: Properties | undefined;
}

/** Thrown when a resource exists but is not ready. The caller must store `live` in the state. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
  constructor(
    readonly live: Live,
    readonly reasons: string[],
  ) {
    super(reasons.join("; "));
  }
}

/** The part of a resource's state that its provider needs. */
export interface Known {
  urn: string;
  id: string;
  inputs: Properties;
  outputs: Properties;
}

/** Calls of a provider that a deployment needs. */
export type ResourceProvider = Pick<Provider, "check" | "diff" | "create" | "update" | "read" | "delete">;

/** Client of one configured provider, over gRPC. Every call rejects with the provider's error message. */
export class Provider {
  private acceptsSecrets = false;
  private acceptsResources = false;
  private supportsPreview = false;
  private supportsAutonaming = false;

  private constructor(private readonly client: InstanceType<typeof providerGrpc.ResourceProviderClient>) {}

  /**
   * Connects to a provider and configures it.
   *
   * @param port its port on 127.0.0.1
   * @param config plain values, with the key names of the provider
   */
  static async connect(port: number, config: Record<string, string>): Promise<Provider> {
    const client = new providerGrpc.ResourceProviderClient(
      `127.0.0.1:${port}`,
      credentials.createInsecure(),
      unlimited,
    );
    const provider = new Provider(client);
    try {
      await provider.configure(config);
    } catch (error) {
      provider.close();
      throw error;
    }
    return provider;
  }

  /** Closes the connection; the provider keeps running. */
  close(): void {
    this.client.close();
  }

  /**
   * Validates inputs and fills in the defaults of the provider.
   *
   * @param proposedName name for a resource without a name; undefined lets the provider choose
   * @throws EngineError with each rejected property and the reason
   */
  async check(urn: string, olds: Properties, news: Properties, proposedName: string | undefined): Promise<Properties> {
    const request = withIdentity(new messages.CheckRequest(), urn);
    if (this.supportsAutonaming && proposedName !== undefined) {
      request.setAutonaming(new messages.CheckRequest.AutonamingOptions().setProposedName(proposedName));
    }
    request.setOlds(this.outgoing(olds));
    request.setNews(this.outgoing(news));
    const response = await this.call<InstanceType<typeof messages.CheckResponse>>("check", request, queryTimeoutMs);
    const failures = response.getFailuresList().map((failure) => failureText(failure));
    if (failures.length > 0) throw new EngineError(failures.join("; "));
    return this.incoming(response.getInputs(), news);
  }

  /** Compares a resource with its new inputs. */
  async diff(old: Known, news: Properties, ignoreChanges: string[]): Promise<Diff> {
    const request = withIdentity(new messages.DiffRequest(), old.urn);
    request.setId(old.id);
    request.setOlds(this.outgoing(old.outputs));
    request.setOldInputs(this.outgoing(old.inputs));
    request.setNews(this.outgoing(news));
    request.setIgnorechangesList(ignoreChanges);
    const response = await this.call<InstanceType<typeof messages.DiffResponse>>("diff", request, queryTimeoutMs);
    const changes = response.getChanges();
    const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
    const detailed = [...response.getDetaileddiffMap().entries()];
    return {
      changes: changes === DIFF_SOME ? true : changes === DIFF_NONE ? false : undefined,
      changed: [...response.getDiffsList(), ...detailed.map(([path]) => path)],
      replaces: [
        ...response.getReplacesList(),
        // ADD_REPLACE, DELETE_REPLACE and UPDATE_REPLACE have the odd numbers of the enum.
        ...detailed.filter(([, property]) => property.getKind() % 2 === 1).map(([path]) => path),
      ],
      deleteBeforeReplace: response.getDeletebeforereplace(),
    };
  }

  /** Creates a resource. In a preview the id is empty, and computed outputs are unknown or missing. */
  async create(urn: string, inputs: Properties, preview: boolean): Promise<Live> {
    if (preview && !this.supportsPreview) return { id: "", outputs: inputs };
    const request = withIdentity(new messages.CreateRequest(), urn);
    request.setProperties(this.outgoing(inputs));
    request.setPreview(preview);
    const response = await this.call<InstanceType<typeof messages.CreateResponse>>(
      "create",
      request,
      changeTimeoutMs,
      inputs,
    );
    const id = response.getId();
    if (!preview && id === "") throw new Error("the provider returned no id");
    return { id, outputs: this.incoming(response.getProperties(), inputs) };
  }

  /** Updates a resource in place. */
  async update(old: Known, news: Properties, ignoreChanges: string[], preview: boolean): Promise<Live> {
    if (preview && !this.supportsPreview) return { id: old.id, outputs: news };
    const request = withIdentity(new messages.UpdateRequest(), old.urn);
    request.setId(old.id);
    request.setOlds(this.outgoing(old.outputs));
    request.setOldInputs(this.outgoing(old.inputs));
    request.setNews(this.outgoing(news));
    request.setIgnorechangesList(ignoreChanges);
    request.setPreview(preview);
    const response = await this.call<InstanceType<typeof messages.UpdateResponse>>(
      "update",
      request,
      changeTimeoutMs,
      news,
    );
    return { id: old.id, outputs: this.incoming(response.getProperties(), news) };
  }

  /** Reads a resource. Returns undefined when it does not exist. */
  async read(known: Known): Promise<Live | undefined> {
    const request = withIdentity(new messages.ReadRequest(), known.urn);
    request.setId(known.id);
    request.setProperties(this.outgoing(known.outputs));
    request.setInputs(this.outgoing(known.inputs));
    const response = await this.call<InstanceType<typeof messages.ReadResponse>>(
      "read",
      request,
      changeTimeoutMs,
      known.inputs,
    );
    const inputs = response.getInputs();
    if (response.getId() === "") return undefined;
    return {
      id: response.getId(),
      outputs: this.incoming(response.getProperties(), { ...known.inputs, ...known.outputs }),
      inputs: inputs && this.incoming(inputs, known.inputs),
    };
  }

  async delete(old: Known): Promise<void> {
    const request = withIdentity(new messages.DeleteRequest(), old.urn);
    request.setId(old.id);
    request.setProperties(this.outgoing(old.outputs));
    request.setOldInputs(this.outgoing(old.inputs));
    await this.call("delete", request, changeTimeoutMs);
  }

  /** Calls a function of the provider, such as a data source. */
  async invoke(token: string, args: Properties): Promise<Properties> {
    const request = new messages.InvokeRequest();
    request.setTok(token);
    request.setArgs(this.outgoing(args));
    const response = await this.call<InstanceType<typeof messages.InvokeResponse>>("invoke", request, queryTimeoutMs);
    const failures = response.getFailuresList().map((failure) => failureText(failure));
    if (failures.length > 0) throw new EngineError(failures.join("; "));
    return this.incoming(response.getReturn(), {});
  }

  /**
   * Sends the engine's address to a provider that was started before the engine, as Pulumi does for providers in
   * PULUMI_DEBUG_PROVIDERS.
   */
  async attach(engineAddress: string): Promise<void> {
    await this.call("attach", new plugins.PluginAttach().setAddress(engineAddress), queryTimeoutMs);
  }

  /**
   * Lets the provider construct a component. The provider registers the component's children with the monitor that the
   * request names.
   */
  construct(request: InstanceType<typeof messages.ConstructRequest>) {
    return this.call<InstanceType<typeof messages.ConstructResponse>>("construct", request, changeTimeoutMs);
  }

  private async configure(config: Record<string, string>): Promise<void> {
    const request = new messages.ConfigureRequest();
    request.setArgs(structs.Struct.fromJavaScript(config));
    for (const [name, value] of Object.entries(config)) request.getVariablesMap().set(name, value);
    request.setAcceptsecrets(true);
    request.setAcceptresources(true);
    request.setSendsOldInputs(true);
    request.setSendsOldInputsToDelete(true);
    const response = await this.call<InstanceType<typeof messages.ConfigureResponse>>(
      "configure",
      request,
      queryTimeoutMs,
    );
    this.acceptsSecrets = response.getAcceptsecrets();
    this.acceptsResources = response.getAcceptresources();
    this.supportsPreview = response.getSupportspreview();
    this.supportsAutonaming = response.getSupportsAutonamingConfiguration();
  }

  private outgoing(properties: Properties): structs.Struct {
    const plain = (value: Value) => (this.acceptsSecrets ? value : reveal(value));
    const known = (value: Value) => (this.acceptsResources ? value : dereference(value));
    return structs.Struct.fromJavaScript(mapValues(properties, (value) => known(plain(value))));
  }

  private incoming(properties: structs.Struct | undefined, inputs: Properties): Properties {
    const received = properties?.toJavaScript() ?? {};
    return this.acceptsSecrets ? received : restoreSecrets(received, inputs);
  }

  private call<Response>(
    method: Method,
    request: unknown,
    timeoutMs: number,
    inputs: Properties = {},
  ): Promise<Response> {
    const unaryCall = this.client[method].bind(this.client) as unknown as UnaryCall<Response>;
    return new Promise((resolve, reject) => {
      unaryCall(request, { deadline: Date.now() + timeoutMs }, (error, response) => {
        if (error) reject(this.notReady(error, inputs) ?? new Error(reasonOf(error), { cause: error }));
        else resolve(response);
      });
    });
  }

  /**
   * Converts a provider's "exists but is not ready" error to a NotReadyError; returns undefined for any other error.
   */
  private notReady(error: ServiceError, inputs: Properties): NotReadyError | undefined {
    const bytes = detailsOf(error.metadata);
    if (bytes === undefined) return undefined;
    for (const detail of statusMessages.Status.deserializeBinary(bytes).getDetailsList()) {
      const failure = detail.unpack(messages.ErrorResourceInitFailed.deserializeBinary, initFailedType);
      if (failure === null) continue;
      const outputs = this.incoming(failure.getProperties(), inputs);
      const checked = failure.getInputs();
      const live = { id: failure.getId(), outputs, inputs: checked && this.incoming(checked, inputs) };
      const reasons = failure.getReasonsList();
      return new NotReadyError(live, reasons.length > 0 ? reasons : [reasonOf(error)]);
    }
    return undefined;
  }
}

const initFailedType = "pulumirpc.ErrorResourceInitFailed";

type Method =
  | "attach"
  | "configure"
  | "check"
  | "diff"
  | "create"
  | "update"
  | "read"
  | "delete"
  | "invoke"
  | "construct";

type UnaryCall<Response> = (
  request: unknown,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => void;

function withIdentity<
  Request extends { setUrn(urn: string): unknown; setName(name: string): unknown; setType(type: string): unknown },
>(request: Request, urn: string): Request {
  request.setUrn(urn);
  request.setName(nameOf(urn));
  request.setType(typeOf(urn));
  return request;
}

function failureText(failure: InstanceType<typeof messages.CheckFailure>): string {
  const property = failure.getProperty();
  return property === "" ? failure.getReason() : `${property}: ${failure.getReason()}`;
}

function detailsOf(metadata: Metadata | undefined): Buffer | undefined {
  const [details] = metadata?.get("grpc-status-details-bin") ?? [];
  return Buffer.isBuffer(details) ? details : undefined;
}
