import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { credentials, Metadata, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import type { PluginAttach } from "@pulumi/pulumi/proto/plugin_pb";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb";
import type {
  CheckRequest,
  ConfigureRequest,
  ConstructRequest,
  CreateRequest,
  CreateResponse,
  DeleteRequest,
  DiffRequest,
  InvokeRequest,
  ReadRequest,
  UpdateRequest,
} from "@pulumi/pulumi/proto/provider_pb";
import messages from "@pulumi/pulumi/proto/provider_pb";
import resourceGrpc from "@pulumi/pulumi/proto/resource_grpc_pb";
import type { RegisterResourceResponse } from "@pulumi/pulumi/proto/resource_pb";
import resource from "@pulumi/pulumi/proto/resource_pb";
import statusMessages from "@pulumi/pulumi/proto/status_pb";
import anys from "google-protobuf/google/protobuf/any_pb";
import empty from "google-protobuf/google/protobuf/empty_pb";
import structs from "google-protobuf/google/protobuf/struct_pb";
import type { EngineOptions } from "../../../local/pulumi/options";
import { serveGrpc, unary } from "../../../local/support/protocol/grpc";
import type { Properties } from "../../../local/support/protocol/value";

const struct = (properties: Properties) => structs.Struct.fromJavaScript(properties);

/**
 * Creates a program in a temporary folder, with the options to run it.
 *
 * @param port port of the provider for the package "aws"
 * @param cacheDir folder of compiled code that several programs share to save time
 */
export function temporaryProgram(port: number, cacheDir: string) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "snack-engine-")));
  const programDir = join(folder, "program");
  mkdirSync(programDir);
  symlinkSync(resolve("node_modules"), join(programDir, "node_modules"));
  const write = (file: string, text: string) => writeFileSync(join(programDir, file), text);
  write("package.json", JSON.stringify({ name: "program", main: "index.js" }));
  write("thing.js", thing);
  const options: EngineOptions = {
    programDir,
    project: "snack",
    stack: "test",
    config: { "snack:size": "1", "aws:region": "ap-northeast-1", "snack:password": "canary-1234" },
    secretKeys: ["snack:password"],
    statePath: join(folder, "state", "stack.json"),
    providers: { aws: port },
    startsDynamicEarly: false,
    // The program is plain JavaScript, because loading TypeScript in each run would take time.
    env: { NODE_COMPILE_CACHE: cacheDir, PULUMI_NODEJS_TYPESCRIPT: "false" },
  };
  return {
    options,
    write,
    /** Replaces the program with `text`, which can use `pulumi`, `config`, `Thing`, `Pair` and `getThing`. */
    program: (text: string) =>
      write(
        "index.js",
        `const pulumi = require("@pulumi/pulumi");
         const { Thing, Pair, getThing } = require("./thing");
         const config = new pulumi.Config();
         ${text}`,
      ),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const thing = `
const pulumi = require("@pulumi/pulumi");
exports.Thing = class extends pulumi.CustomResource {
  constructor(name, args, opts) {
    super("aws:test/thing:Thing", name, { arn: undefined, secretText: undefined, ...args }, opts);
  }
};
exports.Pair = class extends pulumi.ComponentResource {
  constructor(name, args, opts) {
    super("aws:test/pair:Pair", name, { arn: undefined, ...args }, opts, true);
  }
};
exports.getThing = (args) => pulumi.runtime.invoke("aws:test/getThing:getThing", args);
`;

/**
 * Serves a test provider for the package "aws", with the resource `Thing` and the component `Pair`, which has two
 * things. These inputs of a thing have an effect:
 * - `kind`, `base`: a change replaces the thing; a change of any other input updates it. If the old `kind` is "sole",
 * the old thing is deleted first.
 * - `labelled`: adds an automatic `label`. An update keeps this label.
 * - `size`: values over 9 are rejected.
 * - `fail`: the create fails. `notReady`: the created thing is not ready. `hang`: the create never ends.
 * - `stuck`: the delete fails.
 */
export async function serveThings() {
  const things = new Map<string, Properties>();
  const calls: string[] = [];
  const configured: Properties[] = [];
  let created = 0;
  let labels = 0;
  let engine = "";
  const nameOf = (urn: string) => urn.split("::").at(-1) ?? "";
  const outputs = (id: string, inputs: Properties) => ({ ...inputs, arn: `arn:${id}`, secretText: "hidden-5678" });

  const provider = {
    configure: unary((request: ConfigureRequest) => {
      configured.push(request.getArgs()?.toJavaScript() ?? {});
      return new messages.ConfigureResponse().setAcceptsecrets(true).setAcceptresources(true);
    }),
    check: unary((request: CheckRequest) => {
      const inputs = request.getNews()?.toJavaScript() ?? {};
      if (inputs.labelled === true) {
        labels += 1;
        inputs.label = request.getOlds()?.toJavaScript().label ?? `label-${labels}`;
      }
      const response = new messages.CheckResponse().setInputs(struct({ color: "red", ...inputs }));
      if (Number(inputs.size) > 9) {
        response.addFailures(new messages.CheckFailure().setProperty("size").setReason("must be at most 9"));
      }
      return response;
    }),
    diff: unary(diffThing),
    create: (call: ServerUnaryCall<CreateRequest, CreateResponse>, reply: sendUnaryData<CreateResponse>) => {
      const inputs = call.request.getProperties()?.toJavaScript() ?? {};
      const name = nameOf(call.request.getUrn());
      calls.push(`create ${name}`);
      if (inputs.hang === true) return;
      if (inputs.fail === true) return reply({ code: status.UNKNOWN, details: "quota reached" });
      created += 1;
      const id = `${name}-${created}`;
      things.set(id, inputs);
      if (inputs.notReady === true) return reply(notReady(id, outputs(id, inputs)));
      reply(null, new messages.CreateResponse().setId(id).setProperties(struct(outputs(id, inputs))));
    },
    update: unary((request: UpdateRequest) => {
      calls.push(`update ${nameOf(request.getUrn())}`);
      const inputs = request.getNews()?.toJavaScript() ?? {};
      things.set(request.getId(), inputs);
      return new messages.UpdateResponse().setProperties(struct(outputs(request.getId(), inputs)));
    }),
    delete: unary((request: DeleteRequest) => {
      calls.push(`delete ${nameOf(request.getUrn())}`);
      if (request.getProperties()?.toJavaScript().stuck === true) throw new Error("still in use");
      things.delete(request.getId());
      return new empty.Empty();
    }),
    read: unary((request: ReadRequest) => {
      const inputs = things.get(request.getId());
      const response = new messages.ReadResponse();
      if (inputs === undefined) return response;
      return response
        .setId(request.getId())
        .setInputs(struct(inputs))
        .setProperties(struct(outputs(request.getId(), inputs)));
    }),
    attach: unary((request: PluginAttach) => {
      engine = request.getAddress();
      return new empty.Empty();
    }),
    construct: unary((request: ConstructRequest) => {
      // The SDK of a component provider sends its logs to the attached engine, so an engine must be attached.
      if (engine !== request.getMonitorendpoint()) throw new Error("no engine was attached");
      return constructPair(request);
    }),
    invoke: unary((request: InvokeRequest) =>
      new messages.InvokeResponse().setReturn(struct({ ...request.getArgs()?.toJavaScript(), found: true })),
    ),
  };
  const server = await serveGrpc([[providerGrpc.ResourceProviderService, provider]]);
  return { things, calls, configured, port: server.port, close: server.close };
}

function diffThing(request: DiffRequest) {
  const olds = request.getOldInputs()?.toJavaScript() ?? {};
  const news = request.getNews()?.toJavaScript() ?? {};
  const differs = (name: string) => JSON.stringify(olds[name]) !== JSON.stringify(news[name]);
  const changed = Object.keys({ ...olds, ...news }).filter(differs);
  const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
  return new messages.DiffResponse()
    .setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE)
    .setDiffsList(changed)
    .setReplacesList(changed.filter((name) => name === "kind" || name === "base"))
    .setDeletebeforereplace(olds.kind === "sole");
}

/** Registers a component and its two things with the monitor of the request, as the SDK of a component provider does. */
async function constructPair(request: ConstructRequest) {
  const monitor = new resourceGrpc.ResourceMonitorClient(request.getMonitorendpoint(), credentials.createInsecure());
  const register = (type: string, name: string, parent: string, inputs: Properties) =>
    new Promise<RegisterResourceResponse>((answer, reject) => {
      const registration = new resource.RegisterResourceRequest().setType(type).setName(name).setParent(parent);
      registration.setCustom(type.endsWith("Thing")).setObject(struct(inputs)).setAcceptsecrets(true);
      if (name === request.getName() && request.hasRetainondelete()) {
        registration.setRetainondelete(request.getRetainondelete() === true);
      }
      monitor.registerResource(registration, (error, response) => (error ? reject(error) : answer(response)));
    });
  try {
    const inputs = request.getInputs()?.toJavaScript() ?? {};
    const pair = await register(request.getType(), request.getName(), request.getParent(), {});
    const child = (side: string) =>
      register("aws:test/thing:Thing", `${request.getName()}-${side}`, pair.getUrn(), inputs);
    const [left] = await Promise.all([child("left"), child("right")]);
    const state = struct({ arn: left.getObject()?.toJavaScript().arn ?? null });
    return new messages.ConstructResponse().setUrn(pair.getUrn()).setState(state);
  } finally {
    monitor.close();
  }
}

function notReady(id: string, properties: Properties) {
  const failure = new messages.ErrorResourceInitFailed().setId(id).setProperties(struct(properties));
  failure.setReasonsList(["no capacity yet"]);
  const detail = new anys.Any();
  detail.pack(failure.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const details = new statusMessages.Status();
  details.setCode(status.UNKNOWN);
  details.addDetails(detail);
  const metadata = new Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(details.serializeBinary()));
  return { code: status.UNKNOWN, details: "not ready", metadata };
}
