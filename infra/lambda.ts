import { readFileSync } from "node:fs";
import { normalize } from "node:path/posix";
import * as pulumi from "@pulumi/pulumi";
import { METRICS_NAMESPACE } from "../functions/lib/metrics";
import { stackNames } from "../names";
import * as aws from "./aws";
import { buildBundles, bundlePath, type FunctionName, lazyBundles } from "./bundle";

/** One statement of a function's IAM policy. */
export interface Statement {
  Action: string[];
  Resource: pulumi.Input<pulumi.Input<string>[]>;
  Condition?: Record<string, Record<string, pulumi.Input<string> | string[]>>;
}

export interface LambdaArgs<Settings extends object> {
  /** Name of the bundle that the function runs: `functions/<bundle>.ts`. */
  bundle: FunctionName;
  /** Argument of the bundle's `create`. Must not contain a secret, because the archive contains the values as text. */
  settings: pulumi.Input<Settings>;
  /** Permissions of the function. Every function may also write its own log. */
  statements: Statement[];
  /** Fixed name of a function that operators invoke by name. By default, Pulumi chooses the name. */
  functionName?: string;
  /** Default 512. Lambda assigns CPU in proportion to memory, and a cold start needs CPU. */
  memorySizeMb?: number;
  /** Default 10. */
  timeoutSeconds?: number;
  /** Environment variables: names and numbers, never a secret. Operators can change them in Lambda's console. */
  environment?: Record<string, pulumi.Input<string>>;
  /** Concurrent invocations that Lambda reserves for the function and never exceeds. Default: no reservation. */
  reservedConcurrency?: number;
}

buildBundles();
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<string, Record<string, string>>;
/**
 * All packages that Pulumi would pack into an archive. Optional packages count, because npm treats them as
 * dependencies.
 */
const packages = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });

const { computeCodePaths } = pulumi.runtime;
// For each CallbackFunction, Pulumi walks the whole package tree, even when all packages are excluded. Each walk takes
// 0.1 s of CPU time. This replacement walks the tree only when the archive may need a package.
Object.assign(pulumi.runtime, {
  async computeCodePaths(options: pulumi.runtime.CodePathOptions) {
    const { extraExcludePackages = [], extraIncludePackages = [], extraIncludePaths = [] } = options;
    const needsPackages =
      extraIncludePackages.length > 0 || packages.some((name) => !extraExcludePackages.includes(name));
    if (needsPackages) return computeCodePaths(options);
    return new Map(extraIncludePaths.map(normalize).map((path) => [path, new pulumi.asset.FileAsset(path)]));
  },
});

/**
 * A Lambda function with its role and its log group. The archive contains an inline closure, the esbuild bundle that
 * the closure calls, and the bundles that this bundle loads on demand. Only this class creates Lambda functions.
 */
export class Lambda<Settings extends object> extends pulumi.ComponentResource {
  readonly function: aws.lambda.CallbackFunction<unknown, unknown>;
  readonly log: aws.cloudwatch.LogGroup;

  constructor(name: string, args: LambdaArgs<Settings>, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Lambda", name, {}, opts);
    const child = { parent: this };
    this.log = new aws.cloudwatch.LogGroup(name, { retentionInDays: 30 }, child);
    const role = new aws.iam.Role(
      name,
      { assumeRolePolicy: JSON.stringify(aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" })) },
      child,
    );
    const policy = new aws.iam.RolePolicy(
      name,
      { role: role.id, policy: policyDocument(this.log, args.statements) },
      child,
    );

    const bundle = bundlePath(`functions/${args.bundle}`);
    const lazy = (lazyBundles[args.bundle] ?? []).map((name) => bundlePath(`functions/${name}`));
    const settings = pulumi.output(args.settings);
    this.function = new aws.lambda.CallbackFunction(
      name,
      {
        role,
        ...(args.functionName && { name: args.functionName }),
        runtime: aws.lambda.Runtime.NodeJS24dX,
        architectures: ["arm64"],
        memorySize: args.memorySizeMb ?? 512,
        timeout: args.timeoutSeconds ?? 10,
        environment: { variables: { [METRICS_NAMESPACE]: stackNames(pulumi.getStack()).metrics, ...args.environment } },
        ...(args.reservedConcurrency !== undefined && { reservedConcurrentExecutions: args.reservedConcurrency }),
        loggingConfig: { logFormat: "JSON", logGroup: this.log.name },
        // A new array each time, because the SDK appends to it.
        codePathOptions: { extraExcludePackages: [...packages], extraIncludePaths: [bundle, ...lazy] },
        // `callback` instead would lose the mark that `awslambda.streamifyResponse` sets on a streaming handler.
        callbackFactory: () => require(bundle).create(settings.get()),
      },
      { ...child, dependsOn: policy },
    );
    this.registerOutputs({ functionName: this.function.name });
  }
}

function policyDocument(log: aws.cloudwatch.LogGroup, statements: Statement[]): pulumi.Output<string> {
  const writeLog: Statement = {
    Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
    Resource: [pulumi.interpolate`${log.arn}:*`],
  };
  return pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [writeLog, ...statements].map((statement) => ({ Effect: "Allow", ...statement })),
  });
}
