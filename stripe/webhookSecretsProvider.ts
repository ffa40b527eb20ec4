import type { dynamic } from "@pulumi/pulumi";
import { z } from "zod";
import { checkFields, type Properties } from "../dynamic/fields";

// The value is a secret, so the message never quotes it.
const fields = { secret: z.string({ error: "must be a text" }).min(1, { error: "must not be empty" }) };

/** Provider methods of the secrets, which exist only in Pulumi's state. */
export const webhookSecrets = {
  async check(_olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    return checkFields(fields, news);
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return { changes: olds.current !== news.secret, replaces: [] };
  },

  async create({ secret }: Properties): Promise<dynamic.CreateResult> {
    return { id: "webhook-secrets", outs: { current: secret, previous: null } };
  },

  async read(id: string, { current, previous }: Properties): Promise<dynamic.ReadResult> {
    return { id, props: { current, previous: previous ?? null } };
  },

  async update(_id: string, olds: Properties, { secret }: Properties): Promise<dynamic.UpdateResult> {
    const { current, previous } = olds;
    return { outs: { current: secret, previous: (secret === current ? previous : current) ?? null } };
  },

  async delete(_id: string): Promise<void> {},
};
