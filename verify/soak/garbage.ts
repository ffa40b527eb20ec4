import { once } from "node:events";

const TIMEOUT_MS = 30_000;
const COLLECT = "HeapProfiler.collectGarbage";

/** A message of the inspector: the answer to a call, or an event. */
interface Message {
  id?: number;
  method?: string;
  params?: { sessionId?: string; message?: string };
}

/**
 * Collects the garbage of a Node process that was started with `--inspect`, in its main thread and in all its worker
 * threads. Without it, memory that nobody uses would count as growth.
 *
 * @param url WebSocket URL of the inspector (https://chromedevtools.github.io/devtools-protocol)
 * @throws Error when the process does not answer
 */
export async function collectGarbage(url: string): Promise<void> {
  const socket = new WebSocket(url);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await once(socket, "open", { signal });
  try {
    const inspector = new Inspector(socket, signal);
    await inspector.call(COLLECT);
    // The answer comes after an event for each thread.
    await inspector.call("NodeWorker.enable", { waitForDebuggerOnStart: false });
    await Promise.all([...inspector.threads].map((sessionId) => inspector.callThread(sessionId, COLLECT)));
    await inspector.call("NodeWorker.disable");
  } finally {
    socket.close();
  }
}

/** Calls over one connection. */
class Inspector {
  /** Sessions of the worker threads. */
  readonly threads = new Set<string>();
  private readonly answers = new Map<number, () => void>();
  private calls = 0;

  constructor(
    private readonly socket: WebSocket,
    private readonly signal: AbortSignal,
  ) {
    socket.addEventListener("message", ({ data }) => this.receive(JSON.parse(String(data))));
  }

  async call(method: string, params: object = {}): Promise<void> {
    const id = ++this.calls;
    const answered = this.answer(id, method);
    this.socket.send(JSON.stringify({ id, method, params }));
    await answered;
  }

  /** Calls a worker thread. A thread that ends meanwhile does not answer. */
  async callThread(sessionId: string, method: string): Promise<void> {
    const id = ++this.calls;
    const answered = this.answer(id, method);
    await this.call("NodeWorker.sendMessageToWorker", { sessionId, message: JSON.stringify({ id, method }) });
    await answered;
  }

  private answer(id: number, method: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.answers.set(id, resolve);
      this.signal.addEventListener("abort", () => reject(new Error(`The local cloud did not answer ${method}`)));
    });
  }

  private receive({ id, method, params: { sessionId = "", message } = {} }: Message): void {
    if (id !== undefined) this.answers.get(id)?.();
    if (method === "NodeWorker.attachedToWorker") this.threads.add(sessionId);
    if (method === "NodeWorker.receivedMessageFromWorker") this.receive(JSON.parse(message ?? "{}"));
  }
}
