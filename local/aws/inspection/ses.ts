import { Hono } from "hono";

/** State of Amazon SES, which no program of this repository creates. */
export interface SesAccount {
  /** Whether SES sends to every address. Without production access, SES sends only to verified addresses. */
  productionAccess: boolean;
  sendingEnabled: boolean;
  /** E-mails in 24 hours: the quota and the number sent. */
  quota: { max: number; sent: number };
  /** Identities, each with its verification. `any`: every identity is verified. */
  identities: Record<string, boolean> | "any";
}

/** State of an account that may send every e-mail. */
export function createSesAccount(): SesAccount {
  return { productionAccess: true, sendingEnabled: true, quota: { max: 50_000, sent: 0 }, identities: "any" };
}

/** Amazon SES's API, version 2: the account and one identity. */
export function sesApi(ses: SesAccount): Hono {
  const app = new Hono();
  app.get("/v2/email/account", (c) =>
    c.json({
      ProductionAccessEnabled: ses.productionAccess,
      SendingEnabled: ses.sendingEnabled,
      SendQuota: { Max24HourSend: ses.quota.max, SentLast24Hours: ses.quota.sent, MaxSendRate: 14 },
    }),
  );
  app.get("/v2/email/identities/:identity", (c) => {
    const { identities } = ses;
    const isVerified = identities === "any" || identities[c.req.param("identity")];
    if (isVerified === undefined) {
      c.header("x-amzn-errortype", "NotFoundException");
      return c.json({ message: `Email identity ${c.req.param("identity")} does not exist.` }, 404);
    }
    return c.json({ VerifiedForSendingStatus: isVerified, VerificationStatus: isVerified ? "SUCCESS" : "PENDING" });
  });
  return app;
}
