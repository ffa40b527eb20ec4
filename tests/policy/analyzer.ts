import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { credentials } from "@grpc/grpc-js";
import { AnalyzerClient } from "@pulumi/pulumi/proto/analyzer_grpc_pb";
import * as analyzer from "@pulumi/pulumi/proto/analyzer_pb";
import empty from "google-protobuf/google/protobuf/empty_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { ResourceState } from "../../local/pulumi/state";
import { nameOf } from "../../local/pulumi/urn";
import { plain } from "./resources";

/** A violation that the pack reports to the engine. */
interface Diagnostic {
  policy: string;
  message: string;
  isMandatory: boolean;
}

/** Runs the policy pack as Pulumi's engine does: in a separate process, over gRPC. */
export class PolicyPackProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly client: AnalyzerClient,
  ) {}

  static async start(): Promise<PolicyPackProcess> {
    const run = require.resolve("@pulumi/pulumi/cmd/run-policy-pack");
    // The engine passes its address and the pack's folder. The pack prints its port.
    const child = spawn(process.execPath, [run, "127.0.0.1:1", "."], {
      cwd: join(process.cwd(), "policy"),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit").then(([code]) => {
      throw new Error(`The policy pack ended with exit code ${code}`);
    });
    const [port] = await Promise.race([once(createInterface(child.stdout), "line"), exited]);
    exited.catch(() => {});
    const limits = { "grpc.max_send_message_length": -1 };
    return new PolicyPackProcess(child, new AnalyzerClient(`127.0.0.1:${port}`, credentials.createInsecure(), limits));
  }

  /** Names of the pack's policies. */
  async policies(): Promise<string[]> {
    const info = await new Promise<analyzer.AnalyzerInfo>((resolve, reject) => {
      this.client.getAnalyzerInfo(new empty.Empty(), (error, found) => (error ? reject(error) : resolve(found)));
    });
    return info.getPoliciesList().map((policy) => policy.getName());
  }

  /** Checks one resource before it is created. */
  async analyze(state: ResourceState, inputs = plain(state.inputs)): Promise<Diagnostic[]> {
    const request = new analyzer.AnalyzeRequest();
    request.setType(state.type).setUrn(state.urn).setName(nameOf(state.urn));
    request.setProperties(Struct.fromJavaScript(inputs as Record<string, JavaScriptValue>)).setOptions(options(state));
    return new Promise((resolve, reject) => {
      this.client.analyze(request, (error, found) => (error ? reject(error) : resolve(diagnostics(found))));
    });
  }

  /** Checks all resources at the end of a preview or an update. */
  async analyzeStack(states: ResourceState[]): Promise<Diagnostic[]> {
    const request = new analyzer.AnalyzeStackRequest();
    request.setResourcesList(
      states.map((state) => {
        const resource = new analyzer.AnalyzerResource();
        resource.setType(state.type).setUrn(state.urn).setName(nameOf(state.urn)).setOptions(options(state));
        return resource.setProperties(Struct.fromJavaScript(plain(state.outputs) as Record<string, JavaScriptValue>));
      }),
    );
    return new Promise((resolve, reject) => {
      this.client.analyzeStack(request, (error, found) => (error ? reject(error) : resolve(diagnostics(found))));
    });
  }

  close(): void {
    this.client.close();
    this.child.kill();
  }
}

function options({ protect }: ResourceState): analyzer.AnalyzerResourceOptions {
  return new analyzer.AnalyzerResourceOptions().setProtect(protect);
}

function diagnostics(response: analyzer.AnalyzeResponse): Diagnostic[] {
  return response.getDiagnosticsList().map((each) => ({
    policy: each.getPolicyname(),
    message: each.getMessage(),
    isMandatory: each.getEnforcementlevel() === analyzer.EnforcementLevel.MANDATORY,
  }));
}
