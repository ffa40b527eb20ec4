import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { version } from "@pulumi/aws/package.json";
import * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as provider from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { serveGrpc, unary } from "../../support/protocol/grpc";
import { UNKNOWN } from "../../support/protocol/value";
import { registryToken } from "../ecr/api";
import type { AwsAccount } from "../support/account";
import type { Bodies } from "../support/resource";
import { type Properties, plainProperties, withoutUndefined } from "../support/values";
import type { Change } from "./diff";
import { type Failure, Operations, properties, type Target } from "./operations";

/** A provider that is being served. */
export interface ServedProvider {
  /** The gRPC port on 127.0.0.1, for `PULUMI_DEBUG_PROVIDERS=aws:<port>,docker-build:<port>`. */
  port: number;
  close(): Promise<void>;
}

/**
 * Serves the packages `aws` and `docker-build` as a Pulumi resource provider over gRPC. The SDK's own `provider.main`
 * cannot be embedded: it takes over the process and prints to its output.
 *
 * @param bodies what create, update and delete set in motion
 * @param programDir what relative asset paths are relative to
 */
export function serveAwsProvider(account: AwsAccount, bodies: Bodies, programDir: string): Promise<ServedProvider> {
  return serveGrpc([[ResourceProviderService, service(account, new Operations(account, bodies, programDir))]]);
}

function service(account: AwsAccount, operations: Operations): UntypedServiceImplementation {
  const empty = unary(() => new Empty());
  return {
    handshake: unary(() => {
      const response = new provider.ProviderHandshakeResponse();
      response.setAcceptSecrets(true);
      response.setAcceptResources(false);
      response.setAcceptOutputs(false);
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
      const known = region === undefined || region === UNKNOWN || region === account.region;
      return checked(
        inputs,
        known ? [] : [{ property: "region", reason: `must be ${account.region}, where this local cloud runs` }],
      );
    }),
    diffConfig: unary(() => {
      const response = new provider.DiffResponse();
      response.setChanges(provider.DiffResponse.DiffChanges.DIFF_NONE);
      return response;
    }),
    configure: unary(() => {
      const response = new provider.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      response.setAcceptresources(false);
      response.setAcceptoutputs(false);
      return response;
    }),
    check: unary(async (request: provider.CheckRequest) => {
      const seed = request.getRandomseed_asU8();
      const { inputs, failures } = await operations.check(
        target(request),
        read(request.getOlds()),
        read(request.getNews()),
        seed,
      );
      return checked(inputs, failures);
    }),
    diff: unary((request: provider.DiffRequest) => {
      const old = { inputs: read(request.getOldInputs()), outputs: read(request.getOlds()) };
      const ignored = request.getIgnorechangesList();
      const found = operations.diff(target(request), request.getId(), old, read(request.getNews()), ignored);
      const { DIFF_SOME, DIFF_NONE } = provider.DiffResponse.DiffChanges;
      const response = new provider.DiffResponse();
      response.setChanges(found.changes.length > 0 ? DIFF_SOME : DIFF_NONE);
      response.setDiffsList(properties(found.changes.map(({ path }) => path)));
      response.setReplacesList(properties(found.replaces));
      response.setDeletebeforereplace(found.deleteBeforeReplace);
      response.setHasdetaileddiff(true);
      for (const change of found.changes) {
        const detail = new provider.PropertyDiff();
        detail.setKind(kindOf(change, found.replaces.includes(change.path)));
        detail.setInputdiff(true);
        response.getDetaileddiffMap().set(change.path, detail);
      }
      return response;
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
    invoke: unary((request: provider.InvokeRequest) => {
      const response = new provider.InvokeResponse();
      response.setReturn(struct(invoke(account, request.getTok())));
      return response;
    }),
    cancel: empty,
    attach: empty,
  };
}

/** Type and logical name; engines of before 3.1xx send only the URN, `urn:pulumi:<stack>::<project>::<parents>$<type>::<name>`. */
function target(request: { getUrn(): string; getType(): string; getName(): string }): Target {
  const [, , qualified = "", ...name] = request.getUrn().split("::");
  return {
    type: request.getType() || (qualified.split("$").pop() ?? ""),
    name: request.getName() || name.join("::"),
  };
}

function invoke(account: AwsAccount, token: string): Properties {
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
    default: {
      const answered = "getRegion, getCallerIdentity, getPartition and ecr.getAuthorizationToken";
      throw new Error(`The local cloud does not answer ${token}. It answers ${answered}.`);
    }
  }
}

function checked(inputs: Properties, failures: Failure[]): provider.CheckResponse {
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
