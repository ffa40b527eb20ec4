import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import { counted } from "../../../cli/counted";
import { type Model, models } from "../../../contract/plan";
import { audienceOf, Candidate } from "../../../functions/core/canary/candidate";
import type { PlainConfig } from "../../../infra/configSchema";
import { stackNames } from "../../../names";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";

/**
 * Compares the candidates that the functions read with the configuration.
 *
 * @returns no line for a model without a candidate
 */
export async function checkCandidates(config: PlainConfig & { stack: string }, aws: Aws): Promise<Check[]> {
  const path = stackNames(config.stack).parameters.candidates;
  const nameOf = (model: Model) => `${path}/${model}`;
  const client = new SSMClient(awsClient("ssm", aws));
  const { Parameters = [] } = await client.send(new GetParametersCommand({ Names: models.map(nameOf) }));
  return models.flatMap((model) => {
    const value = Parameters.find(({ Name }) => Name === nameOf(model))?.Value;
    return checkCandidate(model, config, nameOf(model), value) ?? [];
  });
}

function checkCandidate(
  model: Model,
  { stack, [model]: { candidate: configured } }: PlainConfig & { stack: string },
  name: string,
  value: string | undefined,
): Check | undefined {
  const label = `${model} candidate`;
  if (value === undefined)
    return (
      configured &&
      failed(label, `AWS has no parameter ${name}, so nobody gets the candidate`, `Run "pulumi up --refresh".`)
    );
  const candidate = parse(value);
  if (!candidate) {
    const todo = `Run: aws ssm delete-parameter --name ${name}, then "pulumi up --refresh".`;
    return failed(label, `the parameter ${name} cannot be read, so the released model answers everybody`, todo);
  }
  const { image, override } = candidate;
  if (!configured)
    return warning(
      label,
      `the stack has the candidate ${image}, but the configuration has none`,
      `Run "pulumi up": it deletes the candidate.`,
    );
  const { share, testers } = audienceOf(candidate);
  const seen = `${image} answers ${share} % of the users and ${counted(testers.length, "tester")}`;
  if (image !== (configured.imageTag ?? configured.pushedTag ?? configured.imageUri))
    return warning(label, `${seen}, but the configuration has another image`, `Run "pulumi up".`);
  if (override) {
    const todo = `Compare the versions: npm run admin -- --stack ${stack} canary ${model} status. Then remove it, or set another share.`;
    return warning(label, `${seen}, configured ${candidate.share} %, since ${override.at}: ${override.reason}`, todo);
  }
  if (configured.share !== candidate.share)
    return warning(label, `${seen}, configured ${configured.share} %`, `Run "pulumi up".`);
  if (!candidate.isReady && candidate.share > 0)
    return warning(
      label,
      `${seen}: none of its workers has answered yet`,
      "Wait some minutes, and look at its workers.",
    );
  return ok(label, seen);
}

function parse(value: string): Candidate | undefined {
  try {
    return Candidate.parse(JSON.parse(value));
  } catch {
    return undefined;
  }
}
