import { z } from "zod";
import type { AccountApi } from "../client";
import { RunpodError } from "../error";
import type { RestRequests } from "./request";

const balance = z.object({ balanceAmount: z.number(), billingMode: z.string().nullish() });
const limits = z.object({
  serverlessWorkers: z.object({ limit: z.number().nullish(), max: z.number().nullish() }).nullish(),
});

/**
 * Account calls of the REST API. Unconfirmed: the API reference of 18 November 2026 names the calls and the fields
 * `balanceAmount`, `billingMode` and `serverlessWorkers`. No public source contains the paths or the fields inside
 * `serverlessWorkers`. So the client ignores an unexpected response and returns undefined.
 */
export function accountApi({ send }: RestRequests): AccountApi {
  async function read<T>(operation: string, path: string, response: z.ZodType<T>): Promise<T | undefined> {
    try {
      return await send({ operation, method: "GET", path, response });
    } catch (error) {
      if (error instanceof RunpodError) return undefined;
      throw error;
    }
  }

  return {
    async getAccount() {
      const found = await read("balance", "/billing/balance", balance);
      if (found === undefined) return undefined;
      const isPostpaid = found.billingMode === "POSTPAID";
      return { balanceDollars: found.balanceAmount, spendDollarsPerHour: undefined, isPostpaid };
    },

    async getWorkerQuota() {
      const { limit, max } = (await read("limits", "/account/limits", limits))?.serverlessWorkers ?? {};
      return limit ?? max ?? undefined;
    },
  };
}
