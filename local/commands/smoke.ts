import Table from "cli-table3";
import { InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import type { Api, Session } from "../../client";
import { type Model, models } from "../../contract/plan";
import { browserKeyOf } from "../../names";
import type { LocalCloud } from "../cloud/cloud";
import type { ProgramOutputs } from "../cloud/outputs";
import { inTemporaryCloud } from "../cloud/temporaryCloud";
import type { RunningEngine } from "../llm/engine";
import { type EngineName, engineOption } from "../llm/engineOption";
import { checkVllm, type VllmChecks } from "../llm/vllmChecks";
import { VllmUnavailable } from "../llm/vllmEnvironment";
import { customerApi } from "../visitor/customer";
import { inferenceOf } from "../visitor/modelSessions";
import { expiredTicket, forgedTicket, validTicket, withTicket } from "../visitor/tickets";
import { type BillingResult, walkBilling } from "./smokeBilling";
import { type CanaryResult, canaryConfig, walkCanary } from "./smokeCanary";
import { refusal, talk } from "./smokeChat";
import { type DeployedResult, walkDeployed } from "./smokeDeployed";
import { printVip, walkVip } from "./smokeVip";

/** Output of `npm run smoke -- --json`. Secrets are masked. */
export interface SmokeResult {
  session: Session;
  engine: EngineName;
  reply: string;
  guestReply: string;
  /** Reply of the paid plan's model to a customer on that plan. */
  paidReply: string;
  /** Number of pieces in which the first reply arrived. */
  pieces: number;
  /** Milliseconds from sending the message to the first text. */
  ttftMs: number;
  /** Milliseconds from sending the message to the end of the reply. */
  totalMs: number;
  /** Milliseconds from the start of this process to the end of the first reply. */
  startToReplyMs: number;
  /**
   * Error code of each refused request. Missing with --direct and the canned worker, because the canned worker checks
   * no ticket.
   */
  refused?: Record<"noTicket" | "wrongModel" | "forged" | "expired", string>;
  /**
   * Missing with the engines llama and vllm. The billing steps do not use the engine, so only the default run has
   * billing steps.
   */
  billing?: BillingResult;
  /** Results of the checks with a real vLLM. Only with the engine vllm. */
  vllm?: Record<Model, VllmChecks>;
  worker: LocalCloud["runpod"]["workerKind"];
}

interface Options {
  json?: boolean;
  engine?: EngineName;
  plan?: "vip";
  direct?: boolean;
  canary?: boolean;
  url?: string;
}

/** Configuration with a browser key for each model, so that sessions contain the models' endpoints. */
function directConfig(): Record<string, unknown> {
  const keys = models.map((model) => [browserKeyOf(model), `local-runpod-${model}-key`]);
  return { ...Object.fromEntries(keys), "vip.providers": [] };
}

/**
 * Runs the whole flow over real sockets.
 *
 * @throws Error when a step has an unexpected result
 */
async function walk(cloud: LocalCloud, outputs: ProgramOutputs, say: (line: string) => void): Promise<SmokeResult> {
  say("signing in and chatting");
  const api = await customerApi("free", cloud, outputs);
  const session = await api.session();
  const reply = await talk(session);
  const startToReplyMs = Math.round(performance.now());
  say("chatting as a guest");
  const guestReply = await talk(await api.guest());
  say("chatting on the paid plan");
  const paidReply = await talk(await (await customerApi("paid", cloud, outputs)).session());

  const checksTickets = session.inference.kind === "relay" || cloud.runpod.workerKind !== "canned";
  const refused = checksTickets ? await refusals(cloud, outputs, session, say) : undefined;
  const isDefault = cloud.engine.name !== "llama" && cloud.engine.name !== "vllm";
  const billing = isDefault ? await walkBillingOf(cloud, api, session, say) : undefined;
  const vllm = cloud.engine.name === "vllm" ? await checkVllm(cloud.engine.url, say) : undefined;
  return {
    session: { ...session, ticket: "***", inference: { ...session.inference, authorization: "Bearer ***" } },
    engine: cloud.engine.name,
    reply: reply.text,
    guestReply: guestReply.text,
    paidReply: paidReply.text,
    pieces: reply.pieces,
    ttftMs: reply.ttftMs,
    totalMs: reply.totalMs,
    startToReplyMs,
    ...(refused && { refused }),
    ...(billing && { billing }),
    ...(vllm && { vllm }),
    worker: cloud.runpod.workerKind,
  };
}

/** Sends four requests that must be refused. Returns their error codes. */
async function refusals(cloud: LocalCloud, outputs: ProgramOutputs, session: Session, say: (line: string) => void) {
  say("sending requests that must be refused");
  const model = models.find((model) => model !== session.model) ?? models[0];
  const wrongModel =
    session.inference.kind === "relay"
      ? withTicket(session, await validTicket(cloud, { ...session, model }))
      : { ...session, inference: inferenceOf(model, cloud, outputs) };
  return {
    noTicket: await refusal(withTicket(session, ""), "ticket_missing"),
    wrongModel: await refusal(wrongModel, "ticket_wrong_model"),
    forged: await refusal(withTicket(session, await forgedTicket(session)), "ticket_invalid"),
    expired: await refusal(withTicket(session, await expiredTicket(cloud, session)), "ticket_expired"),
  };
}

function walkBillingOf({ stripe }: LocalCloud, api: Api, session: Session, say: (line: string) => void) {
  if (!stripe) throw new Error("smoke needs the Stripe double, but this local cloud uses the real Stripe");
  return walkBilling(api, { userId: session.user_id }, stripe, say);
}

const program = command(
  "smoke",
  "Runs the whole flow without a browser: a first reply, a guest's reply, a paid plan and back to the free plan.",
)
  .addOption(engineOption())
  .addOption(new Option("--plan <plan>", "only the chats of the vip plan, with each external LLM").choices(["vip"]))
  .option("--direct", "send the chats directly to RunPod's endpoints, not over the relay")
  .addOption(
    new Option(
      "--canary",
      "only a candidate of mistral: a tester meets it, an abort moves the tester back, and it is promoted during chats",
    ).conflicts(["plan", "direct"]),
  )
  .addOption(
    new Option("--url <url>", "only chat with the deployed stack of this API: the stack output apiUrl")
      .argParser(httpUrl)
      .conflicts(["engine", "plan", "direct", "canary"]),
  )
  .addHelpText(
    "after",
    `
Environment:
  ID_TOKEN  customer's ID token for --url; without it, only a guest chats

--url waits up to 15 minutes for a worker to start.`,
  )
  .action(async (options: Options) => {
    try {
      await smoke(options);
    } catch (error) {
      if (!(error instanceof VllmUnavailable)) throw error;
      if (options.json) console.log(JSON.stringify({ skipped: error.message }));
      reportSkip(`everything, because vLLM cannot run here: ${error.message}`);
    }
  });

void run(program);

async function smoke({ json, engine, plan, direct, canary, url }: Options): Promise<void> {
  const say = json ? () => {} : (line: string) => console.log(pc.dim(`${line} …`));
  if (url) {
    const result = await walkDeployed(url, process.env.ID_TOKEN || undefined, say);
    if (json) console.log(JSON.stringify(result));
    else printDeployed(result);
    return;
  }
  if (canary) {
    const start = { engine, progress: say, config: canaryConfig() };
    const result = await inTemporaryCloud(start, (cloud, outputs, redeploy) =>
      walkCanary(cloud, outputs, redeploy, say),
    );
    if (json) console.log(JSON.stringify(result));
    else printCanary(result);
    return;
  }
  const start = { engine, progress: say, config: direct ? directConfig() : {} };
  if (plan === "vip") {
    const result = await inTemporaryCloud(start, (cloud, outputs) => walkVip(cloud, outputs, say));
    if (json) console.log(JSON.stringify(result));
    else printVip(result);
    return;
  }
  const result = await inTemporaryCloud(start, (cloud, outputs) =>
    walk(cloud, outputs, say).catch((error: Error) => {
      throw withCause(error, cloud.engine);
    }),
  );
  if (json) console.log(JSON.stringify(result));
  else print(result);
  if (!result.refused) {
    const fix = "Set the Python worker up: npm run python -- setup";
    reportSkip(`the requests with bad tickets: the canned worker checks no ticket. ${fix}`);
  }
}

function httpUrl(value: string): string {
  if (!/^https?:$/.test(URL.parse(value)?.protocol ?? ""))
    throw new InvalidArgumentError("Allowed: an http or https URL.");
  return value;
}

/** Adds the engine's state to the error of a failed chat, because an engine on a busy CPU is a common cause. */
function withCause(error: Error, { describe }: RunningEngine): Error {
  return describe ? new Error(`${error.message} ${describe()}`, { cause: error }) : error;
}

/** Warns on stderr that something was not tested. Fails the command if `REQUIRE_ALL=1`. */
function reportSkip(what: string): void {
  console.error(pc.bold(pc.yellow(`SKIPPED ${what}`)));
  if (process.env.REQUIRE_ALL !== "1") return;
  console.error(pc.red("The command fails because REQUIRE_ALL=1 allows no skipped step."));
  process.exitCode = 1;
}

function print({ billing, ...result }: SmokeResult): void {
  const table = new Table({
    style: { head: [], border: [] },
    colWidths: [24, 72],
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
  table.push(
    ["plan and model", `${result.session.plan}, ${result.session.model}`],
    ["inference", result.session.inference.url],
    ["reply, free plan", result.reply],
    ["reply, guest", result.guestReply],
    ["reply, paid plan", result.paidReply],
    ["pieces of the first reply", result.pieces],
    ["time to first text", `${result.ttftMs} ms`],
    ["time to whole reply", `${result.totalMs} ms`],
    ["from start to whole reply", `${result.startToReplyMs} ms`],
    ["worker and engine", `${result.worker}, ${result.engine}`],
    ...(billing ? [["paid after Checkout", `${billing.paidAfterReturnMs} ms, with webhooks held back`]] : []),
    ...Object.entries(billing?.steps ?? {}).map(([step, plan]) => [`billing: ${step}`, plan]),
    ...Object.entries(result.vllm ?? {}).map(([model, checks]) => [`vLLM with ${model}`, JSON.stringify(checks)]),
    ...Object.entries(result.refused ?? {}).map(([what, code]) => [`refused: ${what}`, code]),
  );
  console.log(table.toString());
}

function printCanary({ model, workers, tester, other, abort, promotion }: CanaryResult): void {
  const table = new Table({ style: { head: [], border: [] } });
  table.push(
    ["model", model],
    ["workers", `${workers.released} released, ${workers.candidate} of the candidate`],
    ["a tester gets", tester],
    ["another customer gets", other],
    ["the tester after the abort", `${abort.tester}, after ${abort.ms} ms`],
    ["both after the promotion", `${promotion.tester}, ${promotion.other}`],
    ["up during the promotion", `${promotion.ms} ms, ${promotion.chats} chats, ${promotion.failed} failed`],
    ["endpoints", promotion.endpoints.join(", ")],
    ["alarms", "none"],
  );
  console.log(table.toString());
}

function printDeployed({ url, chats, refused }: DeployedResult): void {
  const table = new Table({ style: { head: [], border: [] } });
  table.push(
    ["API", url],
    ...chats.map(({ who, plan, model, inference, text, ttftMs }) => [
      `${who}: ${plan}, ${model}, ${inference}`,
      `${text} (first text after ${ttftMs} ms)`,
    ]),
    ...Object.entries(refused).map(([what, code]) => [`refused: ${what}`, code]),
  );
  console.log(table.toString());
}
