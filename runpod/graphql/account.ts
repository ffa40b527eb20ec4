import { z } from "zod";
import type { AccountApi, AccountRecord } from "../client";
import { RunpodError } from "../error";
import { nullable } from "../nullable";
import type { GraphqlRequests } from "./request";

const accountRecord: z.ZodType<AccountRecord> = z
  .object({ clientBalance: z.number(), currentSpendPerHr: nullable(z.number(), 0) })
  .transform((account) => ({
    balanceDollars: account.clientBalance,
    spendDollarsPerHour: account.currentSpendPerHr,
    isPostpaid: false,
  }));

/** Account calls of the GraphQL API. */
export function accountApi({ queryMyself }: GraphqlRequests): AccountApi {
  return {
    getAccount: () => queryMyself("clientBalance", "clientBalance currentSpendPerHr", accountRecord),

    async getWorkerQuota() {
      const record = z.object({ maxServerlessConcurrency: z.number().nullish() });
      const field = "maxServerlessConcurrency";
      try {
        return (await queryMyself(field, field, record)).maxServerlessConcurrency ?? undefined;
      } catch (error) {
        // Unconfirmed: no public source contains the field `maxServerlessConcurrency`, so RunPod may refuse the query.
        if (error instanceof RunpodError && error.isGone) throw error;
        return undefined;
      }
    },
  };
}
