import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import runpodSdk from "runpod-sdk";

/** A job as a client shows it. */
interface Seen {
  status: string;
  output?: unknown;
  error?: unknown;
}

/** RunPod's job API as one of its clients offers it. Every call rejects with a CallFailed. */
export interface JobClient {
  /** Gives the job's id. */
  run(payload: object): Promise<string>;
  /** Gives the output. */
  runSync(payload: object): Promise<unknown>;
  status(jobId: string): Promise<Seen>;
  /** Every output until the job has ended. */
  stream(jobId: string): Promise<unknown[]>;
  cancel(jobId: string): Promise<Seen>;
  purge(): Promise<{ removed: number; status: string }>;
  health(): Promise<{ jobs: Record<string, number>; workers: Record<string, number> }>;
}

/** Whom a client talks to. */
interface Address {
  /** With `/v2`. */
  url: string;
  key: string;
  endpoint: string;
}

/** A way to make clients. */
export interface ClientKind {
  name: string;
  connect(address: Address): JobClient;
  close(): void;
}

/** What an HTTP status other than 200 became. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Nothing but HTTP. */
export const plainFetch: ClientKind = {
  name: "fetch",
  connect({ url, key, endpoint }) {
    // biome-ignore lint/suspicious/noExplicitAny: what comes is for the test to look at.
    const call = async (method: string, path: string, body?: object): Promise<any> => {
      const response = await fetch(`${url}/${endpoint}/${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      });
      // Vendors' clients take nothing else for a success.
      if (response.status !== 200) throw new CallFailed(response.status, await response.text());
      return response.json();
    };
    return {
      run: async (payload) => (await call("POST", "run", payload)).id,
      runSync: async (payload) => (await call("POST", "runsync?wait=60000", payload)).output,
      status: (id) => call("GET", `status/${id}`),
      async stream(id) {
        for (const seen: unknown[] = []; ; ) {
          const { status, stream } = await call("GET", `stream/${id}`);
          seen.push(...stream.map(({ output }: { output: unknown }) => output));
          if (isFinal(status)) return seen;
        }
      },
      cancel: (id) => call("POST", `cancel/${id}`),
      purge: () => call("POST", "purge-queue"),
      health: () => call("GET", "health"),
    };
  },
  close: () => undefined,
};

/** npm's `runpod-sdk`. */
export const npmClient: ClientKind = {
  name: "runpod-sdk (npm)",
  connect({ url, key, endpoint }) {
    const sdk = runpodSdk(key, { baseUrl: url }).endpoint(endpoint);
    if (!sdk) throw new Error("no endpoint");
    const translated = async <T>(call: Promise<T>): Promise<T> =>
      call.catch((error) => {
        throw new CallFailed(error.response?.status ?? 0, String(error));
      });
    return {
      run: async (payload) => (await translated(sdk.run({ input: {}, ...payload }))).id,
      runSync: async (payload) => (await translated(sdk.runSync({ input: {}, ...payload }))).output,
      status: (id) => translated(sdk.status(id)),
      stream: (id) =>
        translated(
          (async () => {
            const seen: unknown[] = [];
            for await (const { output } of sdk.stream(id)) seen.push(output);
            return seen;
          })(),
        ),
      cancel: (id) => translated(sdk.cancel(id)),
      purge: () => translated(sdk.purgeQueue()),
      health: () => translated(sdk.health()),
    };
  },
  close: () => undefined,
};

/**
 * Python's `runpod`, in a process of its own.
 *
 * @param python an interpreter that has it
 */
export function pythonClient(python: string): ClientKind {
  const drivers = new Map<string, PythonDriver>();
  return {
    name: "runpod (Python)",
    connect({ url, key, endpoint }) {
      // The client reads where RunPod is while it is imported.
      const driver = drivers.get(url) ?? new PythonDriver(python, url);
      drivers.set(url, driver);
      // biome-ignore lint/suspicious/noExplicitAny: what comes is for the test to look at.
      const call = (method: string, ...args: unknown[]): Promise<any> => driver.call(method, key, endpoint, args);
      return {
        run: (payload) => call("run", payload),
        runSync: (payload) => call("run_sync", payload),
        status: (id) => call("status", id),
        stream: (id) => call("stream", id),
        cancel: (id) => call("cancel", id),
        purge: () => call("purge_queue"),
        health: () => call("health"),
      };
    },
    close() {
      for (const driver of drivers.values()) driver.close();
    },
  };
}

/** Python's `runpod` itself, which has calls for the control plane too. */
export class PythonDriver {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  private calls = 0;

  /** @param url of the job API, with `/v2` */
  constructor(python: string, url: string) {
    this.child = spawn(python, [join(__dirname, "client.py")], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, RUNPOD_ENDPOINT_BASE_URL: url, RUNPOD_API_BASE_URL: url.replace(/\/v2$/, "") },
    });
    this.child.once("exit", (code) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`the Python client ended with ${code}`));
    });
    if (!this.child.stdout) throw new Error("no output to read");
    createInterface(this.child.stdout).on("line", (line) => {
      const { call, result, status, error } = JSON.parse(line);
      const one = this.waiting.get(call);
      this.waiting.delete(call);
      if (error === undefined) one?.resolve(result);
      else one?.reject(new CallFailed(status, error));
    });
  }

  /**
   * Makes a call.
   *
   * @param method one that runpodClient.py knows
   */
  call(method: string, key: string, endpoint: string, args: unknown[]): Promise<unknown> {
    const call = ++this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(call, { resolve, reject });
      this.child.stdin?.write(`${JSON.stringify({ call, method, key, endpoint, arguments: args })}\n`);
    });
  }

  /** Ends its process. */
  close(): void {
    this.child.kill();
  }
}

function isFinal(status: string): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status);
}
