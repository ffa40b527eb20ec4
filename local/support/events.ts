/** One thing that happened in the local cloud, as the page lists it. Never carries a secret, a token or a message's text. */
export interface CloudEvent {
  /** Milliseconds since the epoch. */
  at: number;
  /** Who did it, in the remote service's own word. */
  source:
    | "cognito"
    | "http-api"
    | "lambda"
    | "scheduler"
    | "dynamodb"
    | "ssm"
    | "ecr"
    | "stripe"
    | "runpod"
    | "worker"
    | "engine";
  /** One short line, such as `POST /auth/session → 200`. */
  summary: string;
  durationMs?: number;
}

type Listener = (event: CloudEvent) => void;

/** The one stream of events all doubles write to. */
export class Events {
  private readonly recent: CloudEvent[] = [];
  private readonly listeners = new Set<Listener>();

  /** Records an event now and hands it to every listener. */
  emit(event: Omit<CloudEvent, "at">): void {
    const stamped = { at: Date.now(), ...event };
    this.recent.push(stamped);
    if (this.recent.length > 200) this.recent.shift();
    for (const listener of this.listeners) listener(stamped);
  }

  /** Calls `listener` with the last 200 events and then with every new one. Returns the way to stop. */
  subscribe(listener: Listener): () => void {
    for (const event of this.recent) listener(event);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
