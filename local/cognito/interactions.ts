import type { ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { errors } from "oidc-provider";
import type { AppClient } from "./directory";
import { PAGE_PARAM } from "./oidc";
import type { Pool } from "./pool";

/** Environment of the hosted domain's Hono app. */
export type Env = { Bindings: HttpBindings };

/** A request to the hosted domain. */
export type Request = Context<Env>;

/** A pending sign-in. */
export type Interaction = Awaited<ReturnType<Pool["provider"]["interactionDetails"]>>;

/** Returns the browser's newest pending sign-in, if the page's query belongs to it. */
export async function latestInteraction(c: Request, pool: Pool, client: AppClient): Promise<Interaction | undefined> {
  try {
    const interaction = await pool.provider.interactionDetails(c.env.incoming, c.env.outgoing as ServerResponse);
    const query = c.req.query();
    const isOfPage = Object.entries(interaction.params).every(
      ([name, value]) => name === "lang" || name === PAGE_PARAM || query[name] === value,
    );
    return isOfPage && interaction.params.client_id === client.id ? interaction : undefined;
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return undefined;
    throw error;
  }
}

/**
 * Returns the pending sign-in whose page contained the form. This may be an older sign-in of the browser. The form
 * alone is not enough to continue a sign-in: the browser also needs the `resume` cookie of the sign-in.
 */
export async function interactionOfForm(csrf: string, pool: Pool, client: AppClient): Promise<Interaction | undefined> {
  const [uid = "", cid] = csrf.split(".");
  const interaction = await pool.provider.Interaction.find(uid);
  if (!interaction || interaction.cid !== cid) return undefined;
  return interaction.params.client_id === client.id ? interaction : undefined;
}

/** Value of a form's hidden field, from which `interactionOfForm` finds the sign-in. */
export function csrfOf({ uid, cid }: Interaction): string {
  return `${uid}.${cid}`;
}

/** Stores which customer has signed in. Returns the URL at which the OIDC server continues. */
export async function signIn(interaction: Interaction, sub: string): Promise<string> {
  interaction.result = { login: { accountId: sub } };
  await interaction.save(interaction.exp - Math.floor(Date.now() / 1000));
  return interaction.returnTo;
}
