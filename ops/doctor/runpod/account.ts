import type { RunpodClient } from "../../../runpod/client";
import { messageOf } from "../../../runpod/error";
import { type Check, failed, ok, unknown, warning } from "../check";

/** An id that cannot exist at RunPod. */
const NO_SUCH_ID = "snack-misaki-doctor-nobody";
/** Warn when the balance does not last this many hours at the current spend. */
const MIN_HOURS_LEFT = 24;
const MIN_DOLLARS = 5;

/** Checks that the account has credit. */
export async function checkAccount(client: RunpodClient): Promise<Check> {
  const name = "account";
  let account: Awaited<ReturnType<RunpodClient["getAccount"]>>;
  try {
    account = await client.getAccount();
  } catch (error) {
    return unknown(name, messageOf(error), "Look at the balance in RunPod's console, under Billing.");
  }
  if (account === undefined)
    return unknown(
      name,
      "RunPod does not return the balance",
      "Look at the balance in RunPod's console, under Billing.",
    );
  const { balanceDollars, spendDollarsPerHour, isPostpaid } = account;
  const spending = spendDollarsPerHour === undefined ? "" : `, spending $${spendDollarsPerHour.toFixed(2)} an hour`;
  const seen = `balance $${balanceDollars.toFixed(2)}${spending}`;
  if (isPostpaid) return ok(name, `${seen}, paid by invoice`);
  const todo = "Add credit in RunPod's console, under Billing, or turn on automatic payments.";
  if (balanceDollars <= 0) return failed(name, `${seen}: RunPod starts no worker`, todo);
  const isLow = balanceDollars < MIN_DOLLARS || balanceDollars < MIN_HOURS_LEFT * (spendDollarsPerHour ?? 0);
  return isLow ? warning(name, seen, todo) : ok(name, seen);
}

/**
 * Checks that the key has write permissions. It asks RunPod to delete resources that do not exist. For a key with write
 * permission, RunPod answers "not found" or success. It refuses any other key.
 *
 * @param unreadable the lists that could not be read, with the reason
 */
export async function checkKey(
  client: Pick<RunpodClient, "deleteEndpoint" | "deleteTemplate" | "deleteRegistryAuth">,
  unreadable: { what: string; why: string }[],
): Promise<Check> {
  const name = "key";
  // With GraphQL the client first looks for the template. It finds none and sends no delete, so this call tests no
  // write permission. The result is still correct, because a GraphQL key has all permissions or none.
  const writes = {
    endpoints: () => client.deleteEndpoint(NO_SUCH_ID),
    templates: () => client.deleteTemplate(NO_SUCH_ID),
    "registry credentials": () => client.deleteRegistryAuth(NO_SUCH_ID),
  };
  const refused = await Promise.all(
    Object.entries(writes).map(async ([what, write]) => {
      const why = await write().then(() => undefined, messageOf);
      return why === undefined ? [] : [{ what, why }];
    }),
  );
  const unwritable = refused.flat().filter(({ why }) => /API key/.test(why));
  const unclear = refused.flat().filter(({ why }) => !/refused/.test(why));
  const reasons = [...new Set([...unreadable, ...unwritable, ...unclear].map(({ why }) => why))].join(" ");
  const list = (things: { what: string }[]) => things.map(({ what }) => what).join(", ");
  if (unreadable.length > 0) {
    const seen = `cannot read ${list(unreadable)}. ${reasons}`;
    const isRefused = unreadable.some(({ why }) => /refused/.test(why));
    return failed(name, seen, isRefused ? makeKey : tryAgain);
  }
  if (unwritable.length > 0) {
    const seen = `can read, but not change ${list(unwritable)}: it is a read-only or restricted key. ${reasons}`;
    return failed(name, seen, makeKey);
  }
  if (unclear.length > 0)
    return unknown(name, `can read; RunPod did not say whether it can change ${list(unclear)}. ${reasons}`, tryAgain);
  return ok(name, "can read and change endpoints, templates and registry credentials");
}

const tryAgain = "Try again in some minutes: RunPod has a problem.";
const makeKey =
  "Make a key with All permissions in RunPod's console (Settings, API Keys), then: " +
  "pulumi config set --secret runpodApiKey.";
