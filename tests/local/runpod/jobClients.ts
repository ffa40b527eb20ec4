import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import runpodSdk from "runpod-sdk";

/** Job status that a client returns. */
interface JobState {
  status: string;
  output?: unknown;
  error?: unknown;
}

/** Common interface of clients of the job API. A failed call rejects with CallFailed. */
export interface JobClient {
  /** Returns the job's id. */
  run(payload: object): Promise<string>;
  /** Returns the output. */
  runSync(payload: object): Promise<unknown>;
  status(jobId: string): Promise<JobState>;
  /** Returns all stream items until the end of the job. */
  stream(jobId: string): Promise<unknown[]>;
  cancel(jobId: string): Promise<JobState>;
  purge(): Promise<{ removed: number; status: string }>;
  health(): Promise<{ jobs: Record<string, number>; workers: Record<string, number> }>;
}

/** Endpoint that a client calls. */
interface Address {
  /** URL of the job API, with `/v2`. */
  url: string;
  key: string;
  endpoint: string;
}

/** Kind of client. */
export interface ClientKind {
  name: string;
  connect(address: Address): JobClient;
  close(): void;
}

/** Error for an HTTP status other than 200. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Plain HTTP without a client library. */
export const plainFetch: ClientKind = {
  name: "fetch",
  connect({ url, key, endpoint }) {
    // biome-ignore lint/suspicious/noExplicitAny: the test checks the type.
    const call = async (method: string, path: string, body?: object): Promise<any> => {
      const response = await fetch(`${url}/${endpoint}/${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      });
      // RunPod's own clients also accept only status 200.
      if (response.status !== 200) throw new CallFailed(response.status, await response.text());
      return response.json();
    };
    return {
      run: async (payload) => (await call("POST", "run", payload)).id,
      runSync: async (payload) => (await call("POST", "runsync?wait=60000", payload)).output,
      status: (id) => call("GET", `status/${id}`),
      async stream(id) {
        for (const items: unknown[] = []; ; ) {
          const { status, stream } = await call("GET", `stream/${id}`);
          items.push(...stream.map(({ output }: { output: unknown }) => output));
          if (isFinal(status)) return items;
        }
      },
      cancel: (id) => call("POST", `cancel/${id}`),
      purge: () => call("POST", "purge-queue"),
      health: () => call("GET", "health"),
    };
  },
  close: () => undefined,
};

/** The npm package `runpod-sdk`. */
export const npmClient: ClientKind = {
  name: "runpod-sdk (npm)",
  connect({ url, key, endpoint }) {
    const sdk = runpodSdk(key, { baseUrl: url }).endpoint(endpoint);
    if (!sdk) throw new Error("The SDK returned no endpoint");
    const withCallFailed = async <T>(call: Promise<T>): Promise<T> =>
      call.catch((error) => {
        throw new CallFailed(error.response?.status ?? 0, String(error));
      });
    return {
      run: async (payload) => (await withCallFailed(sdk.run({ input: {}, ...payload }))).id,
      runSync: async (payload) => (await withCallFailed(sdk.runSync({ input: {}, ...payload }))).output,
      status: (id) => withCallFailed(sdk.status(id)),
      stream: (id) =>
        withCallFailed(
          (async () => {
            const items: unknown[] = [];
            for await (const { output } of sdk.stream(id)) items.push(output);
            return items;
          })(),
        ),
      cancel: (id) => withCallFailed(sdk.cancel(id)),
      purge: () => withCallFailed(sdk.purgeQueue()),
      health: () => withCallFailed(sdk.health()),
    };
  },
  close: () => undefined,
};

/**
 * The Python package `runpod`, in a separate process.
 *
 * @param python interpreter with the package
 */
export function pythonClient(python: string): ClientKind {
  const drivers = new Map<string, PythonDriver>();
  return {
    name: "runpod (Python)",
    connect({ url, key, endpoint }) {
      // The package reads the URL only at import, so each URL needs a separate process.
      const driver = drivers.get(url) ?? new PythonDriver(python, url);
      drivers.set(url, driver);
      // biome-ignore lint/suspicious/noExplicitAny: the test checks the type.
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

/** Process that runs the Python package `runpod`. It can also call the control plane. */
export class PythonDriver {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  private calls = 0;

  /** @param url URL of the job API, with `/v2` */
  constructor(python: string, url: string) {
    this.child = spawn(python, [join(__dirname, "pythonClient.py")], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, RUNPOD_ENDPOINT_BASE_URL: url, RUNPOD_API_BASE_URL: url.replace(/\/v2$/, "") },
    });
    this.child.once("exit", (code) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`The Python client ended with ${code}`));
    });
    if (!this.child.stdout) throw new Error("The Python client has no stdout");
    createInterface(this.child.stdout).on("line", (line) => {
      const { call, result, status, error } = JSON.parse(line);
      const waiting = this.waiting.get(call);
      this.waiting.delete(call);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new CallFailed(status, error));
    });
  }

  /**
   * Calls the package.
   *
   * @param method a method of `perform` in pythonClient.py
   */
  call(method: string, key: string, endpoint: string, args: unknown[]): Promise<unknown> {
    const call = ++this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(call, { resolve, reject });
      this.child.stdin?.write(`${JSON.stringify({ call, method, key, endpoint, arguments: args })}\n`);
    });
  }

  /** Ends the process. */
  close(): void {
    this.child.kill();
  }
}

function isFinal(status: string): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status);
}
