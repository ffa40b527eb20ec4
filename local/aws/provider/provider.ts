import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { version } from "@pulumi/aws/package.json";
import * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as provider from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { serveGrpc, unary } from "../../support/protocol/grpc";
import { secret, UNKNOWN } from "../../support/protocol/value";
import { registryToken } from "../ecr/token";
import { parametersBelow } from "../ssm";
import type { AwsAccount } from "../support/account";
import type { EffectsByType } from "../support/resource";
import { type Properties, plainProperties, withoutUndefined } from "../support/values";
import type { Change } from "./diff";
import {
  type Difference,
  type Failure,
  type OnCreate,
  Operations,
  type Target,
  topLevelProperties,
} from "./operations";

/** A running provider. */
export interface ServedProvider {
  /** The gRPC port on 127.0.0.1, for `PULUMI_DEBUG_PROVIDERS=aws:<port>,docker-build:<port>`. */
  port: number;
  close(): Promise<void>;
}

/**
 * Serves the packages `aws` and `docker-build` as a Pulumi resource provider over gRPC. `provider.main` of the SDK
 * cannot be embedded, because it takes over the process and prints to its output.
 *
 * @param effects actions at create, update and delete
 * @param options.programDir base folder of relative asset paths
 * @param options.providerPort default: a free port
 * @param options.onCreate called after each create
 * @throws PortInUseError
 */
export function serveAwsProvider(
  account: AwsAccount,
  effects: EffectsByType,
  options: { programDir: string; providerPort?: number; onCreate?: OnCreate },
): Promise<ServedProvider> {
  const operations = new Operations(account, effects, options.programDir, options.onCreate);
  const service = { ...providerMethods(account, operations), ...resourceMethods(operations) };
  return serveGrpc([[ResourceProviderService, service]], options.providerPort);
}

/** Methods about the provider, its configuration and its functions. */
function providerMethods(account: AwsAccount, operations: Operations): UntypedServiceImplementation {
  const empty = unary(() => new Empty());
  return {
    handshake: unary(() => {
      const response = new provider.ProviderHandshakeResponse();
      response.setAcceptSecrets(true);
      response.setAcceptResources(false);
      response.setAcceptOutputs(false);
      response.setSupportsAutonamingConfiguration(true);
      return response;
    }),
    getPluginInfo: unary(() => {
      const response = new plugin.PluginInfo();
      response.setVersion(version);
      return response;
    }),
    getSchema: unary(() => {
      const response = new provider.GetSchemaResponse();
      response.setSchema(JSON.stringify({ name: "aws", version }));
      return response;
    }),
    checkConfig: unary((request: provider.CheckRequest) => {
      const inputs = read(request.getNews());
      const { region } = plainProperties(inputs);
      const isAllowed = region === undefined || region === UNKNOWN || region === account.region;
      const reason = `must be ${account.region}, the region of this local cloud`;
      return checkResponse(inputs, isAllowed ? [] : [{ property: "region", reason }]);
    }),
    diffConfig: unary(() => {
      const response = new provider.DiffResponse();
      response.setChanges(provider.DiffResponse.DiffChanges.DIFF_NONE);
      return response;
    }),
    configure: unary((request: provider.ConfigureRequest) => {
      operations.configure(plainProperties(read(request.getArgs())));
      const response = new provider.ConfigureResponse();
      response.setSupportsAutonamingConfiguration(true);
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      response.setAcceptresources(false);
      response.setAcceptoutputs(false);
      return response;
    }),
    invoke: unary((request: provider.InvokeRequest) => {
      const response = new provider.InvokeResponse();
      response.setReturn(struct(invoke(account, request.getTok(), plainProperties(read(request.getArgs())))));
      return response;
    }),
    cancel: empty,
    attach: empty,
  };
}

/** Methods about one resource. */
function resourceMethods(operations: Operations): UntypedServiceImplementation {
  return {
    check: unary(async (request: provider.CheckRequest) => {
      const seed = request.getRandomseed_asU8();
      const { inputs, failures } = await operations.check(
        target(request),
        read(request.getOlds()),
        read(request.getNews()),
        { seed, proposed: request.getAutonaming()?.getProposedName() },
      );
      return checkResponse(inputs, failures);
    }),
    diff: unary((request: provider.DiffRequest) => {
      const old = { inputs: read(request.getOldInputs()), outputs: read(request.getOlds()) };
      const ignored = request.getIgnorechangesList();
      const news = read(request.getNews());
      return diffResponse(operations.diff(target(request), request.getId(), old, news, ignored));
    }),
    create: unary(async (request: provider.CreateRequest) => {
      const { id, outputs } = await operations.create(
        target(request),
        read(request.getProperties()),
        request.getPreview(),
      );
      const response = new provider.CreateResponse();
      response.setId(id);
      response.setProperties(struct(outputs));
      return response;
    }),
    read: unary((request: provider.ReadRequest) => {
      const found = operations.read(
        target(request),
        request.getId(),
        read(request.getProperties()),
        read(request.getInputs()),
      );
      const response = new provider.ReadResponse();
      if (found === undefined) return response;
      response.setId(found.id);
      response.setProperties(struct(found.outputs));
      response.setInputs(struct(found.inputs));
      return response;
    }),
    update: unary(async (request: provider.UpdateRequest) => {
      const [olds, news] = [read(request.getOlds()), read(request.getNews())];
      const outputs = await operations.update(target(request), request.getId(), olds, news, request.getPreview());
      const response = new provider.UpdateResponse();
      response.setProperties(struct(outputs));
      return response;
    }),
    delete: unary(async (request: provider.DeleteRequest) => {
      await operations.delete(target(request), request.getId(), read(request.getProperties()));
      return new Empty();
    }),
  };
}

/**
 * Type and logical name of a request. Older Pulumi engines send only the URN,
 * `urn:pulumi:<stack>::<project>::<parents>$<type>::<name>`.
 */
function target(request: { getUrn(): string; getType(): string; getName(): string }): Target {
  const [, , qualified = "", ...name] = request.getUrn().split("::");
  return {
    type: request.getType() || (qualified.split("$").pop() ?? ""),
    name: request.getName() || name.join("::"),
  };
}

function invoke(account: AwsAccount, token: string, args: Properties): Properties {
  const { region, accountId, partition } = account;
  switch (token) {
    case "aws:index/getRegion:getRegion":
      return { id: region, region, name: region, description: "Local cloud", endpoint: `ec2.${region}.amazonaws.com` };
    case "aws:index/getCallerIdentity:getCallerIdentity":
      return { id: accountId, accountId, userId: accountId, arn: `arn:${partition}:iam::${accountId}:root` };
    case "aws:index/getPartition:getPartition":
      return { id: partition, partition, dnsSuffix: "amazonaws.com", reverseDnsPrefix: "com.amazonaws" };
    case "aws:ecr/getAuthorizationToken:getAuthorizationToken": {
      const { expiresAt, ...token } = registryToken(account);
      return { id: region, region, ...token, expiresAt: expiresAt.toISOString() };
    }
    case "aws:ssm/getParametersByPath:getParametersByPath":
      return getParametersByPath(account, args);
    default: {
      const supported =
        "getRegion, getCallerIdentity, getPartition, ecr.getAuthorizationToken and ssm.getParametersByPath";
      throw new Error(`The local cloud does not support ${token}. It supports ${supported}.`);
    }
  }
}

/** The values are secrets, as in the schema of the real provider. */
function getParametersByPath(account: AwsAccount, { path, recursive = false }: Properties): Properties {
  if (typeof path !== "string" || !path.startsWith("/") || recursive !== false)
    throw new Error("ssm.getParametersByPath: path must begin with /, and the local cloud does not support recursive");
  const found = parametersBelow(account, path).map(({ outputs }) => outputs);
  const each = (property: string) => found.map((outputs) => String(outputs[property]));
  const { region } = account;
  const lists = { arns: each("arn"), names: each("name"), types: each("type"), values: secret(each("value")) };
  return { id: path, path, recursive, region, ...lists };
}

function checkResponse(inputs: Properties, failures: Failure[]): provider.CheckResponse {
  const response = new provider.CheckResponse();
  response.setInputs(struct(inputs));
  for (const { property, reason } of failures) {
    const failure = new provider.CheckFailure();
    failure.setProperty(property);
    failure.setReason(`${property}: ${reason}`);
    response.addFailures(failure);
  }
  return response;
}

function diffResponse({ changes, replaces, deleteBeforeReplace }: Difference): provider.DiffResponse {
  const { DIFF_SOME, DIFF_NONE } = provider.DiffResponse.DiffChanges;
  const response = new provider.DiffResponse();
  response.setChanges(changes.length > 0 ? DIFF_SOME : DIFF_NONE);
  response.setDiffsList(topLevelProperties(changes.map(({ path }) => path)));
  response.setReplacesList(topLevelProperties(replaces));
  response.setDeletebeforereplace(deleteBeforeReplace);
  response.setHasdetaileddiff(true);
  for (const change of changes) {
    const detail = new provider.PropertyDiff();
    detail.setKind(kindOf(change, replaces.includes(change.path)));
    detail.setInputdiff(true);
    response.getDetaileddiffMap().set(change.path, detail);
  }
  return response;
}

function kindOf({ kind }: Change, replaces: boolean): provider.PropertyDiff.Kind {
  const { ADD, ADD_REPLACE, DELETE, DELETE_REPLACE, UPDATE, UPDATE_REPLACE } = provider.PropertyDiff.Kind;
  switch (kind) {
    case "add":
      return replaces ? ADD_REPLACE : ADD;
    case "delete":
      return replaces ? DELETE_REPLACE : DELETE;
    case "update":
      return replaces ? UPDATE_REPLACE : UPDATE;
  }
}

function read(struct: Struct | undefined): Properties {
  return struct?.toJavaScript() ?? {};
}

function struct(values: Properties): Struct {
  return Struct.fromJavaScript(withoutUndefined(values) as Record<string, JavaScriptValue>);
}
