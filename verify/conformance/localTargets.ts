import { type Model, models } from "../../contract/plan";
import { endpointIdOf } from "../../functions/core/canary/candidate";
import type { LocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import type { EngineChoice } from "../../local/llm/engineOption";
import { modelSessions } from "../../local/visitor/modelSessions";
import { expiredTicket, validTicket } from "../../local/visitor/tickets";
import { cachedSession, type Target, valuesFromSessions } from "./target";

/**
 * Starts a local cloud and calls `use` with the endpoint of every model.
 *
 * @param options.progress called with each line of progress
 * @param use gets the endpoints, and the base URL of the workers' engine
 * @returns the result of `use`
 * @throws Error when the Python worker is missing. The local cloud then gives only canned replies
 */
export function withLocalTargets<T>(
  options: { engine: EngineChoice | undefined; progress: (line: string) => void },
  use: (targets: Target[], engineUrl: string) => Promise<T>,
): Promise<T> {
  return inTemporaryCloud(options, async (cloud, outputs) => {
    if (cloud.runpod.workerKind === "canned")
      throw new Error(
        "The fixtures need the real worker, and the local cloud has no Python environment for it. Run npm run python -- setup",
      );
    const targets = await Promise.all(models.map((model) => localTarget(model, cloud, outputs)));
    return use(targets, cloud.engine.url);
  });
}

async function localTarget(model: Model, cloud: LocalCloud, outputs: ProgramOutputs): Promise<Target> {
  const sessionOf = async (name: Model) => cachedSession(await modelSessions(name, cloud, outputs));
  const session = await sessionOf(model);
  const otherModel = models.find((name) => name !== model);
  const otherSession = otherModel && (await sessionOf(otherModel));
  const first = await session();
  const expired = await expiredTicket(cloud, first);
  return {
    name: model,
    endpoint: first.inference,
    values: async () => ({
      ...(await valuesFromSessions(session, otherSession)),
      expiredTicket: expired,
      ownEndpointsTicket: await validTicket(cloud, first, endpointIdOf(outputs.inference[model])),
      otherEndpointsTicket: await validTicket(cloud, first, "another"),
    }),
  };
}
