import type { Session } from "../../client";
import type { LocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/program";
import { expiredTicket } from "../../local/visitor/badTickets";
import { customerApi } from "../../local/visitor/customerApi";
import { renewed, type Target, valuesOfSessions } from "./target";

/** Both models' endpoints of a local cloud, each as a customer of its plan reaches it. */
export async function localTargets(cloud: LocalCloud, outputs: ProgramOutputs): Promise<Target[]> {
  const [free, paid] = [await customerApi("free", cloud, outputs), await customerApi("paid", cloud, outputs)];
  const [phi3, mistral] = [renewed(() => free.session()), renewed(() => paid.session())];

  const target = async (own: () => Promise<Session>, other: () => Promise<Session>): Promise<Target> => {
    const first = await own();
    const expired = await expiredTicket(cloud, first);
    return {
      name: first.model,
      endpoint: first.inference,
      values: async () => ({ ...(await valuesOfSessions(own, other)), expiredTicket: expired }),
    };
  };
  return [await target(phi3, mistral), await target(mistral, phi3)];
}
