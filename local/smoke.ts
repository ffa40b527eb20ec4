import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import Table from "cli-table3";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import pc from "picocolors";
import { type Api, ApiProblem, chat, createApi, type Session } from "../client";
import type { ErrorCode } from "../contract/errors";
import type { Model, Plan } from "../contract/plan";
import { signTicket, TICKET_SECONDS } from "../functions/core/ticket";
import type { LocalCloud } from "./cloud";
import { command, run } from "./command";
import { customers } from "./customers";
import { type EngineName, engineOption } from "./llm/engineOption";
import { OWN_STACK } from "./ports";
import { openLocalCloud, type ProgramOutputs } from "./program";
import { signedIn } from "./signedIn";
import { type BillingResult, walkBilling } from "./smokeBilling";

/** What `npm run smoke -- --json` prints. Secrets are masked. */
export interface SmokeResult {
  session: Session;
  engine: EngineName;
  reply: string;
  guestReply: string;
  /** To the customer whose plan is the paid one, from its model. */
  paidReply: string;
  /** In how many pieces the first reply came. */
  pieces: number;
  /** From sending the message to the first text. */
  ttftMs: number;
  /** From sending the message to the end of the reply. */
  totalMs: number;
  /** From the start of this process to the end of the first reply. */
  startToReplyMs: number;
  /** The code each refused request received, from the worker itself. */
  refused: Record<"noTicket" | "wrongModel" | "forged" | "expired", string>;
  /** Missing with the engine llama: its walk needs no model. */
  billing?: BillingResult;
  worker: LocalCloud["runpod"]["workerKind"];
}

const greeting = "こんばんは";

/**
 * Brings everything up from nothing on free ports, walks the whole flow over real sockets, and leaves nothing behind.
 *
 * @param engine which one answers; default: Ollama where it is found, else the scripted one
 * @param say called with a line of progress
 * @throws Error when a step does not do what it must
 */
async function smoke(engine: EngineName | undefined, say: (line: string) => void): Promise<SmokeResult> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-smoke-"));
  const programDir = process.cwd();
  let cloud: LocalCloud | undefined;
  try {
    say("starting the local cloud and evaluating the program");
    const options = { programDir, dir, freePorts: true, say, ...(engine && { engine }) };
    const outputs = await openLocalCloud(options, (started) => {
      cloud = started;
    });
    if (!cloud) throw new Error("There is no cloud");
    return await walk(cloud, outputs, say);
  } finally {
    await cloud?.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function walk(cloud: LocalCloud, outputs: ProgramOutputs, say: (line: string) => void): Promise<SmokeResult> {
  say("signing in");
  const api = await apiOf("free", cloud, outputs);
  const session = await api.session();
  const reply = await talk(session);
  const startToReplyMs = Math.round(performance.now());
  say("talking as a guest");
  const guestReply = await talk(await api.guest());
  say("talking on the paid plan");
  const paidReply = await talk(await (await apiOf("paid", cloud, outputs)).session());

  say("being refused");
  const { ticket: _, ...noTicket } = session;
  const refused = {
    noTicket: await refusal(noTicket, "ticket_missing"),
    wrongModel: await refusal({ ...session, inference: inferenceOf(cloud, outputs, "mistral") }, "ticket_wrong_model"),
    forged: await refusal({ ...session, ticket: await forgedTicket(session) }, "ticket_invalid"),
    expired: await refusal({ ...session, ticket: await expiredTicket(cloud, session) }, "ticket_expired"),
  };
  const billing = cloud.engine === "llama" ? undefined : await walkBillingOf(cloud, api, session, say);
  return {
    session: { ...session, ticket: "***", inference: { ...session.inference, authorization: "Bearer ***" } },
    engine: cloud.engine,
    reply: reply.text,
    guestReply: guestReply.text,
    paidReply: paidReply.text,
    pieces: reply.pieces,
    ttftMs: reply.ttftMs,
    totalMs: reply.totalMs,
    startToReplyMs,
    refused,
    ...(billing && { billing }),
    worker: cloud.runpod.workerKind,
  };
}

/** The API as the seeded customer of this plan sees it. */
async function apiOf(plan: Plan, cloud: LocalCloud, outputs: ProgramOutputs): Promise<Api> {
  const customer = customers.find(({ label }) => label === plan);
  if (!customer) throw new Error(`There is no seeded customer of the plan ${plan}`);
  const { getIdToken } = await signedIn(outputs, cloud.pageUrl, customer);
  return createApi({ apiUrl: outputs.apiUrl, getIdToken });
}

function walkBillingOf({ stripe }: LocalCloud, api: Api, session: Session, say: (line: string) => void) {
  if (!stripe) throw new Error("There is no Stripe double");
  return walkBilling(api, { userId: session.user_id }, stripe, say);
}

async function talk(session: Session): Promise<{ text: string; pieces: number; ttftMs: number; totalMs: number }> {
  const startedAt = performance.now();
  const sinceStart = () => Math.round(performance.now() - startedAt);
  let ttftMs: number | undefined;
  let pieces = 0;
  for await (const item of chat(session, { text: greeting })) {
    ttftMs ??= sinceStart();
    if (!("done" in item)) pieces += 1;
    else if (pieces < 2) throw new Error(`The reply came in ${pieces} pieces: it was not streamed`);
    else return { text: item.text, pieces, ttftMs, totalMs: sinceStart() };
  }
  throw new Error("The chat ended without a reply");
}

/** The code a session is refused with, which must be the one that is due: only the worker knows the ticket's codes. */
async function refusal(session: Omit<Session, "ticket"> & { ticket?: string }, due: ErrorCode): Promise<string> {
  const code = await talk(session as Session).then(
    () => "an answer",
    (error: unknown) => (error instanceof ApiProblem ? error.code : String(error)),
  );
  if (code !== due) throw new Error(`A request that is due ${due} received ${code}`);
  return code;
}

function inferenceOf(cloud: LocalCloud, outputs: ProgramOutputs, model: Model): Session["inference"] {
  const key = cloud.config().values[`snack-misaki:${model}BrowserKey`];
  return { url: outputs.inference[model], authorization: `Bearer ${key}` };
}

/** The same claims under the same `kid`, signed by someone else. */
async function forgedTicket(session: Session): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return sign(session, { ...(await exportJWK(privateKey)), kid: header(session.ticket).kid }, new Date());
}

/** A ticket of the real key, from long enough ago. */
async function expiredTicket(cloud: LocalCloud, session: Session): Promise<string> {
  const ssm = new SSMClient({
    endpoint: cloud.aws.endpoints.ssm,
    region: cloud.aws.account.region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  const name = `/snack-misaki/${OWN_STACK}/ticket-signing-key`;
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: name, WithDecryption: true }));
  const longAgo = new Date(Date.now() - 10 * TICKET_SECONDS * 1000);
  return sign(session, JSON.parse(Parameter?.Value ?? "{}") as JWK, longAgo);
}

async function sign({ user_id, plan, model, limits }: Session, key: JWK, now: Date): Promise<string> {
  const iss = `snack-misaki/${OWN_STACK}`;
  return (await signTicket({ iss, sub: user_id, aud: model, plan, limits }, key, now)).ticket;
}

function header(jwt: string): { kid: string } {
  return JSON.parse(Buffer.from(jwt.split(".")[0] ?? "", "base64url").toString());
}

const program = command(
  "smoke",
  "Walks the whole flow without a browser: from nothing to Mama's reply, to a paid plan and back.",
)
  .addOption(engineOption())
  .action(async ({ json, engine }: { json?: boolean; engine?: EngineName }) => {
    const result = await smoke(engine, json ? () => {} : (line) => console.log(pc.dim(`${line} …`)));
    if (json) console.log(JSON.stringify(result));
    else print(result);
  });

void run(program);

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
    ["Mama, to the customer", result.reply],
    ["Mama, to a guest", result.guestReply],
    ["Mama, on the paid plan", result.paidReply],
    ["pieces of the reply", result.pieces],
    ["first text", `${result.ttftMs} ms`],
    ["whole reply", `${result.totalMs} ms`],
    ["from start to reply", `${result.startToReplyMs} ms`],
    ["worker and engine", `${result.worker}, ${result.engine}`],
    ...(billing ? [["paid after Checkout", `${billing.paidAfterReturnMs} ms, webhooks held back`]] : []),
    ...Object.entries(billing?.steps ?? {}).map(([step, plan]) => [`billing: ${step}`, plan]),
    ...Object.entries(result.refused).map(([what, code]) => [`refused: ${what}`, code]),
  );
  console.log(table.toString());
}
