import { mapValues } from "../support/protocol/value";
import { Children } from "./children";
import { Deployment, type DeploymentContext } from "./deployment";
import { serveMonitor } from "./monitor";
import type { EngineOptions } from "./options";
import { runProgram } from "./program";
import { Providers } from "./providers";
import { type ResourceState, StackState } from "./state";
import type { StepEvent } from "./step";
import { isStack } from "./urn";
import { mask } from "./value";

export { EngineError } from "./error";
export type { EngineOptions } from "./options";
export type { ResourceState } from "./state";
export type { StepEvent } from "./step";

/**
 * Runs the program and creates, updates and deletes resources to match it, like `pulumi up`.
 *
 * @returns the outputs of the stack, with masked secrets, and the steps in the order of completion
 * @throws EngineError for the first failure. The state then contains the resources that exist
 */
export function up(options: EngineOptions): Promise<{ outputs: Record<string, unknown>; steps: StepEvent[] }> {
  return withDeployment(options, false, async (context, deployment, children) => {
    await evaluate(context, deployment, children);
    await deployment.prune();
    const stack = context.state.all.find(({ type }) => isStack(type));
    return { outputs: mapValues(stack?.outputs ?? {}, mask), steps: deployment.steps };
  });
}

/**
 * Runs the program. Returns the steps that `up` would take, and the resources that would then exist, with their inputs.
 * Changes neither resources nor the state.
 *
 * @throws EngineError for the same reasons as `up`
 */
export function preview(options: EngineOptions): Promise<{ steps: StepEvent[]; resources: readonly ResourceState[] }> {
  return withDeployment(options, true, async (context, deployment, children) => {
    await evaluate(context, deployment, children);
    await deployment.prune();
    return { steps: deployment.steps, resources: context.state.all };
  });
}

/**
 * Deletes every resource of the stack, without running the program. Continues after a failure.
 *
 * @throws EngineError for the first resource that could not be deleted
 */
export function destroy(options: EngineOptions): Promise<{ steps: StepEvent[] }> {
  return withDeployment(options, false, async (_, deployment) => {
    await deployment.prune();
    return { steps: deployment.steps };
  });
}

/**
 * Reads every resource from its provider. Removes missing resources from the state and stores changed resources, so
 * that the next `up` or `preview` shows the drift.
 *
 * @throws EngineError for the first resource that could not be read
 */
export function refresh(options: EngineOptions): Promise<{ steps: StepEvent[] }> {
  return withDeployment(options, false, async (_, deployment) => {
    await deployment.refresh();
    return { steps: deployment.steps };
  });
}

async function withDeployment<T>(
  options: EngineOptions,
  dryRun: boolean,
  work: (context: DeploymentContext, deployment: Deployment, children: Children) => Promise<T>,
): Promise<T> {
  const children = new Children(options.signal);
  const providers = new Providers(options, children);
  try {
    const context = { options, dryRun, providers, state: new StackState(options.statePath, !dryRun) };
    return await work(context, new Deployment(context), children);
  } finally {
    await providers.close();
    await children.close();
  }
}

async function evaluate(context: DeploymentContext, deployment: Deployment, children: Children): Promise<void> {
  if (context.options.startsDynamicEarly ?? true) context.providers.startDynamic();
  const monitor = await serveMonitor(context, deployment);
  try {
    const program = runProgram(context.options, context.dryRun, monitor.address, monitor.errors, children);
    await Promise.race([program, deployment.failed]);
  } finally {
    await deployment.idle();
    await monitor.close();
  }
}
