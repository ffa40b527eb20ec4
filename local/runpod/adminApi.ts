import { type Context, Hono } from "hono";
import * as z from "zod";
import type { RunpodAccount } from "./account/account";
import { AccountError } from "./account/rules";
import { Fault, Switches } from "./account/switches";
import { presentedKey, type RunpodKey } from "./apiKeys";
import { problem } from "./jobApi/problem";

interface AdminOptions {
  account: RunpodAccount;
  keys: RunpodKey[];
  switches: Switches;
  /** Moves the double's clock forward. */
  skip(ms: number): void;
  /** Applies the switches to the workers. */
  tick(): void;
}

const HOUR_MS = 3_600_000;
const TimeSkip = z.strictObject({ hours: z.number().positive() });
const SwitchChanges = Switches.partial();

/**
 * Serves `/admin`, which gives other processes access to the double's switches. RunPod has no such API. Callers need
 * the account's key, so that web pages cannot call this API.
 *
 * - `GET /admin/switches` and `PATCH /admin/switches` read and change the switches.
 * - `POST /admin/faults` adds a fault.
 * - `POST /admin/time` with `{hours}` skips time.
 * - `POST /admin/registries/{id}/expire` expires a registry credential.
 */
export function adminApi({ account, keys, switches, skip, tick }: AdminOptions): Hono {
  const app = new Hono();
  const accountKeys = keys.filter(({ scope }) => scope === "account").map(({ key }) => key);
  app.use("*", async (c, next) => {
    if (!accountKeys.includes(presentedKey(c.req.raw) ?? "")) return problem(c, 401, "unauthorized");
    return next();
  });

  app.get("/switches", (c) => c.json(switches));
  app.patch("/switches", async (c) => {
    const changes = await read(c, SwitchChanges);
    if (changes instanceof Response) return changes;
    Object.assign(switches, changes);
    tick();
    return c.json(switches);
  });
  app.post("/faults", async (c) => {
    const fault = await read(c, Fault);
    if (fault instanceof Response) return fault;
    switches.faults.push(fault);
    return c.json(switches);
  });
  app.post("/time", async (c) => {
    const time = await read(c, TimeSkip);
    if (time instanceof Response) return time;
    skip(time.hours * HOUR_MS);
    return c.json({ skippedHours: time.hours });
  });
  app.post("/registries/:id/expire", (c) => {
    try {
      account.registries.expire(c.req.param("id"));
    } catch (error) {
      if (error instanceof AccountError) return problem(c, 404, error.message);
      throw error;
    }
    tick();
    return c.json({ expired: c.req.param("id") });
  });
  return app;
}

async function read<S extends z.ZodType>(c: Context, schema: S): Promise<z.output<S> | Response> {
  const parsed = schema.safeParse(await c.req.json().catch(() => undefined));
  return parsed.success ? parsed.data : problem(c, 400, z.prettifyError(parsed.error));
}
