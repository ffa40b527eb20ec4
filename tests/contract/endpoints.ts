import type { JWK } from "jose";
import { type Limits, type Model, modelPlans, models } from "../../contract/plan";
import { signTicket } from "../../functions/core/ticket";
import { startScriptedEngine } from "../../local/llm/scriptedEngine";
import { Events } from "../../local/support/events";
import { createTicketKeys } from "../functions/ticketKeys";
import { ACCOUNT_KEY, RunpodFixture } from "../local/runpod/fixture";

const ISSUER = "snack-misaki/test";

/** Limits of the tickets in these tests, lower than the contract's bounds. */
export const limits: Limits = { max_tokens: 40, max_messages: 6, max_input_chars: 200 };

/** Endpoints of all models on the RunPod double, with Python workers and the scripted LLM engine. */
export class Endpoints {
  private constructor(
    private readonly runpod: RunpodFixture,
    private readonly key: JWK,
    private readonly ids: Map<Model, string>,
    private readonly closeEngine: () => Promise<void>,
  ) {}

  static async start(python: string): Promise<Endpoints> {
    const { key, jwks } = await createTicketKeys();
    const engine = await startScriptedEngine({ port: 0, events: new Events() });
    const runpod = new RunpodFixture();
    await runpod.start({ engineUrl: `${engine.url}/v1`, python, workersQuota: 2 * models.length });
    const ids = new Map<Model, string>();
    for (const model of models) {
      const env = { MODEL: model, TICKET_ISSUER: ISSUER, TICKET_JWKS: JSON.stringify(jwks) };
      const template = {
        name: `${model}-template`,
        env: Object.entries(env).map(([key, value]) => ({ key, value })),
      };
      ids.set(model, (await runpod.deploy({ name: model }, template)).id);
    }
    return new Endpoints(runpod, key, ids, () => engine.close());
  }

  /** RunPod's id of a model's endpoint. */
  id(model: Model): string | undefined {
    return this.ids.get(model);
  }

  /** Base URL of a model's job API. */
  url(model: Model): string {
    return `${this.runpod.jobApiUrl}/${this.id(model)}`;
  }

  readonly apiKey = ACCOUNT_KEY;
  /** Value of the `Authorization` header of the job APIs. */
  readonly authorization = `Bearer ${ACCOUNT_KEY}`;

  async ticket(model: Model, at = new Date(), endpoint?: string): Promise<string> {
    const grant = {
      iss: ISSUER,
      sub: "guest:1",
      aud: model,
      plan: modelPlans[model],
      limits,
      ...(endpoint && { endpoint }),
    };
    return (await signTicket(grant, this.key, at)).ticket;
  }

  async close(): Promise<void> {
    await this.runpod.dispose();
    await this.closeEngine();
  }
}
