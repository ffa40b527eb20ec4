import { type Model, models } from "../../contract/plan";
import type { LocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/program";
import { modelSessions } from "../../local/visitor/modelSessions";
import { expiredTicket } from "../../local/visitor/tickets";
import { renewed, type Target, valuesOfSessions } from "./target";

/** The endpoint of every model in a local cloud. */
export async function localTargets(cloud: LocalCloud, outputs: ProgramOutputs): Promise<Target[]> {
  const sessionsOf = async (model: Model) => renewed(await modelSessions(model, cloud, outputs));
  const target = async (model: Model, otherModel: Model): Promise<Target> => {
    const [own, other] = [await sessionsOf(model), await sessionsOf(otherModel)];
    const session = await own();
    const expired = await expiredTicket(cloud, session);
    return {
      name: model,
      endpoint: session.inference,
      values: async () => ({ ...(await valuesOfSessions(own, other)), expiredTicket: expired }),
    };
  };
  return Promise.all(models.map((model) => target(model, models.find((other) => other !== model) ?? model)));
}
