import type { AdminCandidate } from "../../contract/admin";
import { type Model, models } from "../../contract/plan";
import { isChosen } from "../../functions/core/canary/candidate";
import { START_STACK, stackNames } from "../../names";
import type { AwsCloud } from "../aws/cloud";
import type { CandidateFault, CandidatesPanel, CandidateView, UserVersion } from "../page/candidatesPanel";
import { ReplyFault, withPattern } from "../runpod/account/switches";
import type { RunpodDouble } from "../runpod/server";
import { askAdmin } from "./adminFunction";
import { customers } from "./customers";

const PARAMETER = "aws:ssm/parameter:Parameter";
const names = stackNames(START_STACK);

/** Implements the candidates panel of the local cloud's page with the admin function and the RunPod double. */
export function candidatesPanel(
  aws: Pick<AwsCloud, "account" | "invoke" | "resolveImage">,
  runpod: Pick<RunpodDouble, "account" | "switches" | "tick">,
): CandidatesPanel {
  const { account, switches } = runpod;

  /**
   * Asks the account before the admin function. Otherwise the page would list a refused call for each model without a
   * candidate.
   */
  const hasCandidate = (model: Model) => aws.account.get(PARAMETER, `${names.parameters.candidates}/${model}`);

  function versionOf(endpointName: string): string {
    const templateId = account.endpoints.find(({ name }) => name === endpointName)?.templateId;
    const image = templateId === undefined ? undefined : account.template(templateId)?.imageName;
    return (image && aws.resolveImage(image)?.version) ?? "";
  }

  async function view(model: Model, visitor: string | undefined): Promise<CandidateView> {
    const candidate = await askAdmin(aws, { command: "candidate", model });
    return {
      candidate,
      versions: {
        candidate: versionOf(names.candidateEndpoint(model)),
        released: versionOf(names.endpoint(model)),
      },
      users: usersOf(candidate, visitor),
      fault: faultOf(names.candidateEndpoint(model)),
    };
  }

  function faultOf(endpoint: string): CandidateFault {
    if (switches.crashing.includes(endpoint)) return "crash";
    if (switches.noCapacity.includes(endpoint)) return "noGpus";
    return switches.replyFaults.find(({ on }) => on === endpoint)?.fault ?? "none";
  }

  return {
    async state(visitor) {
      const views = models.filter(hasCandidate).map((model) => view(model, visitor));
      return { candidates: await Promise.all(views) };
    },
    async setShare(model, share) {
      await askAdmin(aws, { command: "candidate-share", model, share });
    },
    async abort(model) {
      await askAdmin(aws, { command: "candidate-abort", model });
    },
    setFault(model, fault) {
      const endpoint = names.candidateEndpoint(model);
      switches.crashing = withPattern(switches.crashing, endpoint, fault === "crash");
      switches.noCapacity = withPattern(switches.noCapacity, endpoint, fault === "noGpus");
      switches.replyFaults = switches.replyFaults.filter(({ on }) => on !== endpoint);
      const replyFault = ReplyFault.safeParse({ on: endpoint, fault }).data;
      if (replyFault) switches.replyFaults.push(replyFault);
      runpod.tick();
    },
  };
}

/** The seeded customers, and the visitor. */
function usersOf({ model, image, share, testers }: AdminCandidate, visitor: string | undefined): UserVersion[] {
  // `share` and `testers` of the answer already include an override.
  const audience = { image, share, testers, isReady: true };
  const known = customers.map(({ email, sub }) => ({ email, sub }));
  const isKnown = known.some(({ sub }) => sub === visitor);
  const users = visitor === undefined || isKnown ? known : [{ sub: visitor }, ...known];
  return users.map(({ sub, ...user }) => ({
    ...user,
    isVisitor: sub === visitor,
    isCandidate: isChosen(model, audience, sub),
  }));
}
