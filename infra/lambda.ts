import { readFileSync } from "node:fs";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { buildBundles, bundlePath, type FunctionName } from "./bundle";

/** A statement of a function's own policy. */
export interface Statement {
  Action: string[];
  Resource: pulumi.Input<string>[];
}

/** What a Lambda is made of. */
export interface LambdaArgs<Settings extends object> {
  /** Which bundle it runs, `functions/<bundle>.ts`. */
  bundle: FunctionName;
  /** What its `create` gets: names and URLs, never a secret, because the values are in the archive as text. */
  settings: pulumi.Input<Settings>;
  /** What it may do besides writing its own log. */
  statements: Statement[];
  /** Where others must know the name; default: Pulumi's own choice. */
  functionName?: string;
  /** Default 512: Lambda gives CPU by memory, and a cold start is CPU. */
  memorySizeMb?: number;
  /** Default 10. */
  timeoutSeconds?: number;
}

buildBundles();
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<string, Record<string, string>>;
/** Everything Pulumi would pack into an archive by itself; npm counts optional packages among the dependencies. */
const packages = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });

/**
 * The only maker of Lambdas: a thin inline closure over one esbuild bundle, with a role, a log group and nothing else of
 * its own. The archive holds two files, the closure and the bundle.
 */
export class Lambda<Settings extends object> extends pulumi.ComponentResource {
  readonly function: aws.lambda.CallbackFunction<unknown, unknown>;

  constructor(name: string, args: LambdaArgs<Settings>, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Lambda", name, {}, opts);
    const child = { parent: this };
    const log = new aws.cloudwatch.LogGroup(name, { retentionInDays: 30 }, child);
    const role = new aws.iam.Role(
      name,
      { assumeRolePolicy: JSON.stringify(aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" })) },
      child,
    );
    const policy = new aws.iam.RolePolicy(name, { role: role.id, policy: policyDocument(log, args.statements) }, child);

    const bundle = bundlePath(`functions/${args.bundle}`);
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
        loggingConfig: { logFormat: "JSON", logGroup: log.name },
        // A fresh object each time: the SDK pushes into its list of excluded packages.
        codePathOptions: { extraExcludePackages: [...packages], extraIncludePaths: [bundle] },
        callbackFactory: () => require(bundle).create(settings.get()),
      },
      { ...child, dependsOn: policy },
    );
    this.registerOutputs();
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
