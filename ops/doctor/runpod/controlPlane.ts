import type { Api } from "../../../runpod/apis";
import type { ControlPlaneApi } from "../../../runpod/client";
import { type Check, ok, warning } from "../check";

/**
 * Reports which RunPod API the program uses, and when RunPod ends GraphQL.
 *
 * @param configured `runpodApi` of the configuration
 */
export async function checkControlPlane(client: ControlPlaneApi, configured: Api): Promise<Check> {
  const name = "RunPod API";
  const { api, endsAt } = await client.getControlPlane();
  if (api === "rest") return ok(name, configured === "auto" ? "REST v2: RunPod has ended GraphQL" : "REST v2");
  const end = endsAt === undefined ? "early 2027, as announced" : endsAt.toISOString().slice(0, 10);
  const seen = `GraphQL. RunPod has throttled it since 17 September 2026. Planned end: ${end}`;
  if (configured === "auto") return ok(name, `${seen}. The program then changes to REST v2 by itself`);
  return warning(name, seen, `Set runpodApi to auto or rest: after that date every "pulumi up" fails.`);
}
