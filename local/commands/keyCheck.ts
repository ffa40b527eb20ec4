/** A call to a service that shows whether a setting from the environment is correct. */
export interface KeyCheck {
  /** Environment variable with the setting, for the error. */
  variable: string;
  /** URL of a call that changes nothing. The service answers 401 to a wrong key. */
  url: string;
  headers: Record<string, string>;
  /** Whether the setting is an id in the URL. The service answers 404 to an unknown id. */
  isId?: boolean;
  /** Description of a correct value for the error message, such as `an API key of Anthropic`. */
  expected: string;
}

const TIMEOUT_MS = 10_000;

/**
 * Calls every service at the same time. Accepts a key that gets the answer 403, because the program does not need the
 * permission for this call.
 *
 * @throws Error that names each wrong variable and never contains its value
 */
export async function checkKeys(checks: readonly KeyCheck[]): Promise<void> {
  const problems = await Promise.all(checks.map(problemOf));
  const found = problems.filter((problem) => problem !== undefined);
  if (found.length > 0) throw new Error(found.join(" "));
}

async function problemOf({ variable, url, headers, isId = false, expected }: KeyCheck): Promise<string | undefined> {
  const { host } = new URL(url);
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "manual" });
    await response.body?.cancel();
    const isRefused = response.status === 401 || (isId && response.status === 404);
    if (!isRefused) return undefined;
    return `${variable}: ${host} does not accept it (HTTP ${response.status}). It must be ${expected}.`;
  } catch (error) {
    return `${variable}: ${host} cannot be reached to check it (${reasonOf(error)}). Connect to the network, or unset it.`;
  }
}

function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string } };
  return cause?.code ?? (name === "TimeoutError" ? `no answer within ${TIMEOUT_MS / 1000} s` : String(name));
}
