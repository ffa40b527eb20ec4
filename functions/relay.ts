import type { Model, Plan } from "../contract/plan";
import type { VipProvider } from "../contract/relay";
import type { UsageLimits } from "./tables/usage";

/** Settings of the relay. Stub until the branch `chat` is merged. */
export interface Settings {
  ticketIssuer: string;
  ticketJwks: string;
  signingKeyParameter: string;
  endpoints: Partial<Record<Model, string>>;
  runpodKeyParameter: string;
  ephemeralTable: string;
  keyParameters: Partial<Record<VipProvider, string>>;
  usdPerMillionTokens: Partial<Record<VipProvider, { input: number; cachedInput: number; output: number }>>;
  dailyUsd: number;
  limits: Record<Plan, UsageLimits>;
}

/** Stub. */
export function create(_settings: Settings): unknown {
  const { awslambda } = globalThis as unknown as { awslambda: { streamifyResponse(handler: unknown): unknown } };
  return awslambda.streamifyResponse(async (_event: unknown, stream: { end(text: string): void }) => stream.end("{}"));
}
