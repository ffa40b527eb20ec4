import { resolve } from "node:path";
import { decodeJwt } from "jose";
import { command, run } from "../../cli/command";
import { customers } from "../cloud/customers";
import { readStartedProgram, type StartedProgram } from "../cloud/outputs";
import { signedIn } from "../visitor/customer";

interface Options {
  dir: string;
  password?: string;
  json?: boolean;
}

const program = command("token", "Signs a customer in to the running local cloud and prints their ID token.")
  .argument("<email>", `a customer: ${customers.map(({ email }) => email).join(", ")}, or one who has signed up`)
  .option("--dir <folder>", "folder of the local cloud's state, as in npm start", ".local")
  .option("--password <text>", "password of a customer who has signed up")
  .action(printToken);

void run(program);

async function printToken(email: string, { dir, password, json = false }: Options): Promise<void> {
  const started = startedIn(dir);
  const idToken = await signIn(started, { email, password: password ?? seededPassword(email) }, dir);
  if (!json) return console.log(idToken);
  const { apiUrl, relayUrl } = started.outputs;
  const expiresAt = new Date(Number(decodeJwt(idToken).exp) * 1000).toISOString();
  console.log(JSON.stringify({ idToken, expiresAt, apiUrl, relayUrl }));
}

function startedIn(dir: string): StartedProgram {
  try {
    return readStartedProgram(resolve(dir));
  } catch (cause) {
    throw notRunning(dir, cause);
  }
}

/** @throws Error that names the known customers for any other e-mail address */
function seededPassword(email: string): string {
  const customer = customers.find((one) => one.email === email);
  if (customer) return customer.password;
  const known = customers.map((one) => one.email).join(", ");
  throw new Error(
    `${email} is not one of the local customers: ${known}. Add --password for a customer who has signed up.`,
  );
}

async function signIn(
  { outputs, pageUrl }: StartedProgram,
  who: { email: string; password: string },
  dir: string,
): Promise<string> {
  try {
    const { getIdToken } = await signedIn(outputs, pageUrl, who);
    const idToken = await getIdToken();
    if (idToken) return idToken;
    throw new Error(`Cognito returned no ID token for ${who.email}.`);
  } catch (error) {
    throw isRefused(error) ? notRunning(dir, error) : error;
  }
}

function isRefused(error: unknown): boolean {
  return ((error as Error).cause as { code?: string } | undefined)?.code === "ECONNREFUSED";
}

function notRunning(dir: string, cause: unknown): Error {
  return new Error(
    `No running local cloud has its state in ${dir}. Run npm start in another terminal, or name the folder of its state with --dir.`,
    { cause },
  );
}
