import { once } from "node:events";

const TIMEOUT_MS = 30_000;
const COLLECT = "HeapProfiler.collectGarbage";

type Result = { totalSize?: number; backingStorageSize?: number };

/** A message of the inspector: the answer to a call, or an event. */
interface Message {
  id?: number;
  result?: Result;
  method?: string;
  params?: { sessionId?: string; message?: string };
}

/** Worker threads of a process, and the average memory of their heaps and buffers in bytes. */
export interface Threads {
  count: number;
  averageBytes: number;
}

/**
 * Collects the garbage of a Node process that was started with `--inspect`, in its main thread and in all its worker
 * threads, and measures the threads. Without the collection, unused memory would count as growth.
 *
 * @param url WebSocket URL of the inspector (https://chromedevtools.github.io/devtools-protocol)
 * @throws Error when the process does not answer
 */
export async function collectGarbage(url: string): Promise<Threads> {
  const socket = new WebSocket(url);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await once(socket, "open", { signal });
  try {
    const inspector = new Inspector(socket, signal);
    await inspector.call(COLLECT);
    // Before it answers, the inspector sends an event for each thread.
    await inspector.call("NodeWorker.enable", { waitForDebuggerOnStart: false });
    const sizes = await Promise.all(
      [...inspector.threads].map(async (sessionId) => {
        await inspector.callThread(sessionId, COLLECT);
        const { totalSize = 0, backingStorageSize = 0 } = await inspector.callThread(sessionId, "Runtime.getHeapUsage");
        return totalSize + backingStorageSize;
      }),
    );
    await inspector.call("NodeWorker.disable");
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    return { count: sizes.length, averageBytes: bytes / Math.max(1, sizes.length) };
  } finally {
    socket.close();
  }
}

/** Calls over one connection. */
class Inspector {
  /** Sessions of the worker threads. */
  readonly threads = new Set<string>();
  private readonly answers = new Map<number, (result: Result) => void>();
  private calls = 0;

  constructor(
    private readonly socket: WebSocket,
    private readonly signal: AbortSignal,
  ) {
    socket.addEventListener("message", ({ data }) => this.receive(JSON.parse(String(data))));
  }

  call(method: string, params: object = {}): Promise<Result> {
    const id = ++this.calls;
    const answered = this.answer(id, method);
    this.socket.send(JSON.stringify({ id, method, params }));
    return answered;
  }

  /** Calls a worker thread. The call of a thread that ends meanwhile gets no answer. */
  async callThread(sessionId: string, method: string): Promise<Result> {
    const id = ++this.calls;
    const answered = this.answer(id, method);
    await this.call("NodeWorker.sendMessageToWorker", { sessionId, message: JSON.stringify({ id, method }) });
    return answered;
  }

  private answer(id: number, method: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.answers.set(id, resolve);
      this.signal.addEventListener("abort", () => reject(new Error(`The local cloud did not answer ${method}`)));
    });
  }

  private receive({ id, result = {}, method, params: { sessionId = "", message } = {} }: Message): void {
    if (id !== undefined) this.answers.get(id)?.(result);
    if (method === "NodeWorker.attachedToWorker") this.threads.add(sessionId);
    if (method === "NodeWorker.receivedMessageFromWorker") this.receive(JSON.parse(message ?? "{}"));
  }
}
